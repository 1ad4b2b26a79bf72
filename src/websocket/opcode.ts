// What a WebSocket frame is, by the number in its head (RFC 6455 section 5.2).

export const Opcode = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa } as const;

/** Opcodes with this bit are control frames. */
export const CONTROL_BIT = 0x08;

/** The longest payload of a control frame in bytes (RFC 6455 section 5.5). */
export const LONGEST_CONTROL_PAYLOAD = 125;
