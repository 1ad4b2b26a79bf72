// permessage-deflate without context, as it is offered, told and compared.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  agreesWith,
  answerWithoutContext,
  offerWithoutContext,
  outlivesPeer,
} from '../../src/websocket/context-free-deflate.ts';

const NEITHER = 'server_no_context_takeover; client_no_context_takeover';

test('every offer of permessage-deflate asks both sides to forget, and other offers stay as they are', () => {
  assert.deepEqual(
    offerWithoutContext(['permessage-deflate; client_max_window_bits', 'x-other; a=1', 'Permessage-Deflate']),
    [`permessage-deflate; client_max_window_bits; ${NEITHER}`, 'x-other; a=1', `Permessage-Deflate; ${NEITHER}`],
  );
});

test('what an offer asks already is not asked twice, whatever its case', () => {
  const offer = 'permessage-deflate; Client_No_Context_Takeover;server_no_context_takeover';
  assert.deepEqual(offerWithoutContext([offer]), [offer]);
});

test('the client is told to forget where the peer did not say so; what the peer keeps is not hidden', () => {
  assert.deepEqual(answerWithoutContext('permessage-deflate; server_no_context_takeover'), [
    `permessage-deflate; ${NEITHER}`,
  ]);
  assert.deepEqual(answerWithoutContext('permessage-deflate'), ['permessage-deflate; client_no_context_takeover']);
  assert.deepEqual(answerWithoutContext(undefined), []);
});

test('a tunnel outlives its peer without extensions or where both forget, not with a context or an unknown extension', () => {
  assert.equal(outlivesPeer([]), true);
  assert.equal(outlivesPeer([`permessage-deflate; ${NEITHER}`]), true);
  assert.equal(outlivesPeer(answerWithoutContext('permessage-deflate')), false);
  assert.equal(outlivesPeer(['x-other']), false);
  assert.equal(outlivesPeer([`permessage-deflate; ${NEITHER}`, 'x-other']), false);
});

test('another peer agrees whatever the order, case of names and quotes of its parameters', () => {
  const told = [`permessage-deflate; ${NEITHER}; server_max_window_bits=10`];
  const same = 'permessage-deflate;Server_Max_Window_Bits="10";client_no_context_takeover; server_no_context_takeover';
  assert.equal(agreesWith(told, [same]), true);
  assert.equal(agreesWith([], []), true);
});

test('another window, a parameter more, an extension more or none is no agreement', () => {
  const told = [`permessage-deflate; ${NEITHER}; server_max_window_bits=10`];
  assert.equal(agreesWith(told, [`permessage-deflate; ${NEITHER}; server_max_window_bits=12`]), false);
  assert.equal(agreesWith(told, [`permessage-deflate; ${NEITHER}`]), false);
  assert.equal(agreesWith(told, []), false);
  assert.equal(agreesWith([], told), false);
  assert.equal(agreesWith(told, [...told, 'x-other']), false);
});
