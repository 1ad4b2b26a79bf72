// The opening handshake: every refusal of a request and every fault of an answer, by name.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type AnswerFault,
  acceptKey,
  checkHandshakeAnswer,
  checkOpeningHandshake,
  type HandshakeAnswer,
  type HeaderLookup,
  type OpeningHandshake,
} from '../../src/websocket/handshake.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

type HeaderTable = Record<string, string | undefined>;

function lookup(table: HeaderTable): HeaderLookup {
  return (name) => table[name];
}

const goodRequestHeaders: HeaderTable = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-key': KEY,
  'sec-websocket-version': '13',
};

function request(headers: HeaderTable = {}, others: Partial<OpeningHandshake> = {}): OpeningHandshake {
  const table = { ...goodRequestHeaders, ...headers };
  return { method: 'GET', httpVersion: 11, hasBody: false, headers: lookup(table), ...others };
}

describe('acceptKey', () => {
  test('answers the key of RFC 6455 with the accept of RFC 6455', () => {
    assert.equal(acceptKey(KEY), ACCEPT);
  });
});

describe('an opening handshake is accepted', () => {
  const accepted: [name: string, handshake: OpeningHandshake][] = [
    ['as browsers send it', request()],
    ['with upgrade among other connection options', request({ connection: 'keep-alive, Upgrade' })],
    ['with names in another case', request({ upgrade: 'WebSocket', connection: 'uPGRADE' })],
    ['with blanks around the upgrade', request({ upgrade: ' websocket\t' })],
    [
      'with a key whose last bits are not zero, which decodes to 16 bytes too',
      request({ 'sec-websocket-key': `${'A'.repeat(21)}B==` }),
    ],
  ];
  for (const [name, handshake] of accepted) {
    test(name, () => assert.equal(checkOpeningHandshake(handshake).ok, true));
  }

  test('with its key, subprotocols and extensions', () => {
    const verdict = checkOpeningHandshake(
      request({
        'sec-websocket-protocol': 'graphql-ws, soap ,,wamp',
        'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits, X-Foo; a="b,c\\"," ; d, bar',
      }),
    );
    assert.deepEqual(verdict, {
      ok: true,
      key: KEY,
      protocols: ['graphql-ws', 'soap', 'wamp'],
      extensions: ['permessage-deflate', 'x-foo', 'bar'],
    });
  });

  test('without subprotocols and extensions where it has none', () => {
    assert.deepEqual(checkOpeningHandshake(request()), { ok: true, key: KEY, protocols: [], extensions: [] });
  });
});

describe('an opening handshake is refused with 400', () => {
  const refused: [name: string, handshake: OpeningHandshake, reason: RegExp][] = [
    ['when it is a POST', request({}, { method: 'POST' }), /method .* is not GET/],
    ['when it is a HEAD', request({}, { method: 'HEAD' }), /method .* is not GET/],
    ['when its method is get in small letters', request({}, { method: 'get' }), /method .* is not GET/],
    ['when it comes by HTTP/1.0', request({}, { httpVersion: 10 }), /needs HTTP\/1\.1/],
    ['when it has a body', request({}, { hasBody: true }), /has a body/],
    ['without Upgrade', request({ upgrade: undefined }), /"Upgrade" header is not "websocket" alone/],
    ['when it asks for h2c', request({ upgrade: 'h2c' }), /"Upgrade" header/],
    ['when it asks for websocket and something else', request({ upgrade: 'websocket, h2c' }), /"Upgrade" header/],
    ['when it asks for websocket twice', request({ upgrade: 'websocket, websocket' }), /"Upgrade" header/],
    ['when it asks for a version of websocket by Upgrade', request({ upgrade: 'websocket/13' }), /"Upgrade" header/],
    ['without Connection', request({ connection: undefined }), /"Connection" header does not name "upgrade"/],
    ['when Connection says keep-alive only', request({ connection: 'keep-alive' }), /"Connection" header/],
    [
      'when Connection names something like upgrade',
      request({ connection: 'upgrade-insecure, xupgrade' }),
      /"Connection" header/,
    ],
    ['without a key', request({ 'sec-websocket-key': undefined }), /no "Sec-WebSocket-Key" header/],
    ['with an empty key', request({ 'sec-websocket-key': '' }), /not one key of 16 bytes/],
    [
      'with a key of 15 bytes',
      request({ 'sec-websocket-key': Buffer.alloc(15).toString('base64') }),
      /not one key of 16 bytes/,
    ],
    [
      'with a key of 17 bytes',
      request({ 'sec-websocket-key': Buffer.alloc(17).toString('base64') }),
      /not one key of 16 bytes/,
    ],
    [
      'with a key that is not base64',
      request({ 'sec-websocket-key': `${'*'.repeat(22)}==` }),
      /not one key of 16 bytes/,
    ],
    ['with two keys', request({ 'sec-websocket-key': `${KEY}, ${KEY}` }), /not one key of 16 bytes/],
    ['with a line break behind the key', request({ 'sec-websocket-key': `${KEY}\n` }), /not one key of 16 bytes/],
  ];
  for (const [name, handshake, reason] of refused) {
    test(name, () => {
      const verdict = checkOpeningHandshake(handshake);
      assert.ok(!verdict.ok);
      assert.equal(verdict.status, 400);
      assert.match(verdict.reason, reason);
      assert.deepEqual(verdict.headers, []);
    });
  }
});

describe('an opening handshake is refused with 426 and told the version', () => {
  const refused: [name: string, version: string | undefined, reason: RegExp][] = [
    ['without a version', undefined, /no "Sec-WebSocket-Version" header/],
    ['with version 8', '8', /is not "13"/],
    ['with version 1337', '1337', /is not "13"/],
    ['with two versions', '13, 8', /is not "13"/],
    ['with version 13 twice', '13, 13', /is not "13"/],
  ];
  for (const [name, version, reason] of refused) {
    test(name, () => {
      const verdict = checkOpeningHandshake(request({ 'sec-websocket-version': version }));
      assert.ok(!verdict.ok);
      assert.equal(verdict.status, 426);
      assert.match(verdict.reason, reason);
      assert.deepEqual(verdict.headers, [
        ['Sec-WebSocket-Version', '13'],
        ['Upgrade', 'websocket'],
      ]);
    });
  }

  test('but not when the rest of it is wrong too', () => {
    const verdict = checkOpeningHandshake(request({ 'sec-websocket-version': '8', connection: 'close' }));
    assert.ok(!verdict.ok);
    assert.equal(verdict.status, 400);
  });
});

const goodAnswerHeaders: HeaderTable = { upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-accept': ACCEPT };

function answer(headers: HeaderTable = {}, others: Partial<HandshakeAnswer> = {}): HandshakeAnswer {
  return {
    status: 101,
    key: KEY,
    offeredProtocols: ['chat', 'wamp'],
    offeredExtensions: ['permessage-deflate'],
    headers: lookup({ ...goodAnswerHeaders, ...headers }),
    ...others,
  };
}

describe('the answer to a handshake agrees', () => {
  test('as servers send it, with nothing chosen', () => {
    assert.deepEqual(checkHandshakeAnswer(answer()), { ok: true, protocol: undefined, extensions: [], deflate: false });
  });

  test('with a subprotocol and an extension that were offered', () => {
    const headers = {
      'sec-websocket-protocol': 'wamp',
      'sec-websocket-extensions': 'Permessage-Deflate; server_no_context_takeover',
    };
    assert.deepEqual(checkHandshakeAnswer(answer(headers)), {
      ok: true,
      protocol: 'wamp',
      extensions: ['permessage-deflate'],
      deflate: true,
    });
  });

  test('with names in another case and blanks around the accept', () => {
    const headers = { upgrade: 'WEBSOCKET', connection: 'keep-alive, upgrade', 'sec-websocket-accept': ` ${ACCEPT} ` };
    assert.equal(checkHandshakeAnswer(answer(headers)).ok, true);
  });
});

describe('the answer to a handshake is at fault', () => {
  const faulty: [name: string, fault: AnswerFault, answer: HandshakeAnswer][] = [
    ['with status 200', 'status is not 101', answer({}, { status: 200 })],
    ['without Upgrade', 'no upgrade header', answer({ upgrade: undefined })],
    ['when it upgrades to h2c', 'upgrade to something else', answer({ upgrade: 'h2c' })],
    ['when it upgrades to more than websocket', 'upgrade to something else', answer({ upgrade: 'websocket, foo' })],
    ['without Connection', 'connection header without upgrade', answer({ connection: undefined })],
    ['when Connection says close', 'connection header without upgrade', answer({ connection: 'close' })],
    ['without an accept', 'no accept header', answer({ 'sec-websocket-accept': undefined })],
    ['with an empty accept', 'accept mismatch', answer({ 'sec-websocket-accept': '' })],
    ['with the accept of another key', 'accept mismatch', answer({}, { key: 'AAAAAAAAAAAAAAAAAAAAAA==' })],
    ['with the accept in another case', 'accept mismatch', answer({ 'sec-websocket-accept': ACCEPT.toLowerCase() })],
    ['with two accepts', 'accept mismatch', answer({ 'sec-websocket-accept': `${ACCEPT}, ${ACCEPT}` })],
    ['with a subprotocol not offered', 'subprotocol not offered', answer({ 'sec-websocket-protocol': 'mqtt' })],
    ['with a subprotocol in another case', 'subprotocol not offered', answer({ 'sec-websocket-protocol': 'Chat' })],
    ['with two subprotocols', 'subprotocol not offered', answer({ 'sec-websocket-protocol': 'chat, wamp' })],
    [
      'with a subprotocol where none was offered',
      'subprotocol not offered',
      answer({ 'sec-websocket-protocol': 'chat' }, { offeredProtocols: [] }),
    ],
    [
      'with an extension not offered',
      'extension not offered',
      answer({ 'sec-websocket-extensions': 'permessage-deflate, x-other' }),
    ],
    [
      'with an extension where none was offered',
      'extension not offered',
      answer({ 'sec-websocket-extensions': 'permessage-deflate' }, { offeredExtensions: [] }),
    ],
  ];
  for (const [name, fault, given] of faulty) {
    test(name, () => assert.deepEqual(checkHandshakeAnswer(given), { ok: false, fault }));
  }
});
