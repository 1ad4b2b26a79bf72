// mosquitto, a broker whose WebSockets are those of libwebsockets: MQTT through the gateway.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { selfSignedCertificate } from '../support/certificates.ts';
import { freePorts } from '../support/free-port.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { until } from '../support/until.ts';
import { startFourWays, type Way } from './four-ways.ts';
import { MqttClient } from './mqtt-client.ts';

const MOSQUITTO = '/usr/sbin/mosquitto';
const skip = existsSync(MOSQUITTO) ? false : 'mosquitto is not installed';

/** @returns the ports on which it speaks WebSocket, plain and over TLS */
async function startMosquitto(t: TestContext): Promise<{ plain: number; tls: number }> {
  const [ordinary, plain, tls] = (await freePorts(3)) as [number, number, number];
  const { cert, key } = await selfSignedCertificate();
  const folder = temporaryFolder(t, { 'own.crt': cert, 'own.key': key });
  // It does not start without a listener that is none for WebSockets.
  const conf = `
user root
persistence false
allow_anonymous true
message_size_limit 0
listener ${ordinary} 127.0.0.1
listener ${plain} 127.0.0.1
protocol websockets
listener ${tls} 127.0.0.1
protocol websockets
certfile ${join(folder, 'own.crt')}
keyfile ${join(folder, 'own.key')}
`;
  const broker = spawn(MOSQUITTO, ['-c', join(temporaryFolder(t, { 'mosquitto.conf': conf }), 'mosquitto.conf')]);
  let said = '';
  broker.stderr.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  t.after(async () => {
    if (broker.exitCode !== null) return;
    const ended = once(broker, 'exit');
    broker.kill('SIGKILL');
    await ended;
  });
  await until(`mosquitto to run: ${said}`, () => said.includes('running') || broker.exitCode !== null);
  if (broker.exitCode !== null) throw new Error(`mosquitto ended with ${broker.exitCode}: ${said}`);
  return { plain, tls };
}

test('mosquitto', { skip }, async (t) => {
  const { gateway, ways } = await startFourWays(t, await startMosquitto(t));
  const connect = (to: TestContext, way: Way, name: string) =>
    MqttClient.to(to, way.url('/mqtt'), { ca: gateway.ca, name: `${name} by ${way.name}` });

  for (const way of ways) {
    await t.test(way.name, async (t) => {
      const client = await connect(t, way, 'one');
      assert.equal(client.socket.protocol, 'mqtt');
      await client.subscribe('rooms/+');
      await client.publish('rooms/one', 'grüße, 世界 🙂');
      assert.deepEqual(await client.next(), { topic: 'rooms/one', payload: Buffer.from('grüße, 世界 🙂') });
      // It reads 4 kB each time it looks for what has come, and looks ten times a second.
      const bytes = randomBytes(10_000);
      await client.publish('rooms/two', bytes);
      assert.deepEqual(await client.next(), { topic: 'rooms/two', payload: bytes });
      await client.ping();
      const closed = once(client.socket, 'close');
      client.disconnect();
      await closed;
    });
  }

  await t.test('a message goes from each client to all of them, whichever way they came, in order', async (t) => {
    const clients = await Promise.all(ways.map((way) => connect(t, way, 'all')));
    for (const client of clients) await client.subscribe('all');
    for (const [number, client] of clients.entries()) {
      for (let part = 0; part < 10; part++) await client.publish('all', `${part} from ${number}`);
    }
    const expected = clients.flatMap((_, number) => Array.from({ length: 10 }, (_, part) => `${part} from ${number}`));
    for (const client of clients) {
      const heard: string[] = [];
      while (heard.length < expected.length) heard.push(String((await client.next()).payload));
      assert.deepEqual(heard, expected);
    }
  });
});
