// $upstream_…: several passes in one value, in nginx's way of joining them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upstreamVariables } from '../../src/directives/upstream-variables.ts';
import type { Exchange, UpstreamTrace } from '../../src/exchange/exchange.ts';

function trace(values: Partial<UpstreamTrace>): UpstreamTrace {
  return {
    address: '127.0.0.1:1',
    server: 'one.example:8080',
    status: 200,
    queueTime: -1,
    connectTime: 1,
    headerTime: 2,
    responseTime: 1234,
    bytesReceived: 10,
    bytesSent: 20,
    responseLength: 5,
    ...values,
  };
}

function value(name: string, ...traces: UpstreamTrace[]): string | undefined {
  const exchange = { upstreams: traces.length === 0 ? undefined : traces } as unknown as Exchange;
  return upstreamVariables[name]?.(exchange, '');
}

test('without an upstream there is no value', () => {
  assert.equal(value('upstream_addr'), undefined);
  assert.equal(value('upstream_status'), undefined);
});

test('times are in seconds, and a dash is what did not come to pass', () => {
  assert.equal(value('upstream_response_time', trace({})), '1.234');
  assert.equal(value('upstream_connect_time', trace({ connectTime: -1 })), '-');
  assert.equal(value('upstream_status', trace({ status: 0 })), '-');
});

test('peers of one group are joined by a comma', () => {
  const traces = [trace({ status: 502 }), trace({ address: '127.0.0.1:2' })];
  assert.equal(value('upstream_addr', ...traces), '127.0.0.1:1, 127.0.0.1:2');
  assert.equal(value('upstream_status', ...traces), '502, 200');
});

test('groups are joined by a colon', () => {
  const traces = [
    trace({ status: 502 }),
    trace({}),
    trace({ address: '' }),
    trace({ address: 'unix:/x', status: 404 }),
  ];
  assert.equal(value('upstream_addr', ...traces), '127.0.0.1:1, 127.0.0.1:1 : unix:/x');
  assert.equal(value('upstream_status', ...traces), '502, 200 : 404');
});

test('the last server has its name, without a port, and its address', () => {
  const traces = [trace({}), trace({ address: '127.0.0.1:2', server: 'two.example' })];
  assert.equal(value('upstream_last_server_name', ...traces), 'two.example');
  assert.equal(value('upstream_last_addr', ...traces), '127.0.0.1:2');
  assert.equal(value('upstream_last_server_name', trace({})), 'one.example');
  assert.equal(value('upstream_last_server_name', trace({ server: '[::1]:80' })), '[::1]');
  assert.equal(value('upstream_last_server_name', trace({ server: 'unix:/tmp/x:1' })), 'unix:/tmp/x:1');
  assert.equal(value('upstream_last_addr'), undefined);
});
