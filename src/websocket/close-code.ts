// The close codes that we send ourselves, by name (RFC 6455 section 7.4.1, and IANA's registry behind it).

export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  invalidPayload: 1007,
  policyViolation: 1008,
  messageTooBig: 1009,
  serviceRestart: 1012,
  tryAgainLater: 1013,
  badGateway: 1014,
} as const;

/** Where no close frame is wanted. */
export const NO_CLOSE_FRAME = 0;
