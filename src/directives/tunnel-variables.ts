// The variables of tunnels: what passed, how it ended, how far away the two sides are. They have no value for a plain request.

import type { Exchange, TunnelLegTrace, TunnelTrace } from '../exchange/exchange.ts';
import { refusalOf } from '../exchange/handshake-refusal.ts';
import type { VariableGetter } from './module.ts';

/** `in` is from the client to us, `out` from us to the client. */
export const tunnelVariables: Readonly<Record<string, VariableGetter>> = {
  websocket_event: ({ tunnel }) => (tunnel === undefined ? undefined : isOpen(tunnel) ? 'open' : 'close'),
  websocket_duration: ({ tunnel }) =>
    tunnel === undefined || isOpen(tunnel) ? undefined : inSeconds(tunnel.endedAt - tunnel.startedAt, 3),
  websocket_close_by: (exchange) => present(endedBy(exchange)),
  websocket_close_cause: (exchange) => present(exchange.tunnel?.endCause ?? refusalOf(exchange)),
  websocket_close_code: ({ tunnel }) => code(tunnel?.client.toldClose),
  websocket_peer_close_code: ({ tunnel }) => code(tunnel?.peer.closeCode),
  websocket_messages_in: ({ tunnel }) => messages(tunnel, tunnel?.client),
  websocket_messages_out: ({ tunnel }) => messages(tunnel, tunnel?.peer),
  websocket_bytes_in: ({ tunnel }) => tunnel?.client.bytes.toString(),
  websocket_bytes_out: ({ tunnel }) => tunnel?.peer.bytes.toString(),
  websocket_resumes: ({ tunnel }) => (tunnel?.followsFrames === true ? `${tunnel.resumes}` : undefined),
  websocket_lost_messages: ({ tunnel }) => (tunnel?.followsFrames === true ? `${tunnel.lostMessages}` : undefined),
  websocket_ping_rtt: ({ tunnel }) => roundTrip(tunnel?.client),
  websocket_peer_ping_rtt: ({ tunnel }) => roundTrip(tunnel?.peer),
};

const isOpen = ({ endedAt }: TunnelTrace): boolean => endedAt === 0;

function endedBy(exchange: Exchange): string | undefined {
  if (exchange.tunnel !== undefined) return exchange.tunnel.endedBy;
  return refusalOf(exchange) === undefined ? undefined : 'gateway';
}

function present(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

function code(given: number | undefined): string | undefined {
  return given === undefined || given === 0 ? undefined : `${given}`;
}

function messages(tunnel: TunnelTrace | undefined, leg: TunnelLegTrace | undefined): string | undefined {
  return tunnel?.followsFrames === true ? `${leg?.messages}` : undefined;
}

/** To the microsecond: two machines of one network are closer to each other than a millisecond. */
function roundTrip(leg: TunnelLegTrace | undefined): string | undefined {
  return leg === undefined || leg.roundTrip < 0 ? undefined : inSeconds(leg.roundTrip, 6);
}

function inSeconds(ms: number, digits: number): string {
  return (Math.max(ms, 0) / 1000).toFixed(digits);
}
