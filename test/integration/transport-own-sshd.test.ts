/** The data connection to a worker that speaks ssh itself: straight, or by way of the client; and who is let in. */
import { connect } from 'node:net';
import { join } from 'node:path';
import { once } from 'node:events';
import type { Server } from 'node:net';
import { serveRelay } from '@cmt/host';
import { afterEach, expect, test } from 'vitest';
import { codeOf, IMAGES, move, NEVER, startPair, writeImages } from '../support/transfer-pair.ts';
import type { TransferPair } from '../support/transfer-pair.ts';

let pair: TransferPair;
let relay: Server | undefined;
afterEach(async () => {
  await pair.close();
  relay?.close();
  relay = undefined;
});

/** @param way `relayed`: the target's port is not reached, the client's sockets are */
async function begin(way: 'direct' | 'relayed', isPinned = true): Promise<void> {
  pair = await startPair({ agentless: true, endpoint: { sshUser: 'cmt' } });
  await writeImages(pair.outbox, IMAGES);
  const plain = pair.route.bind(pair);
  const sshHostKeys = isPinned ? [pair.hostKey] : [];
  const port = way === 'direct' ? pair.port : 1;
  pair = { ...pair, route: (changes) => plain({ sshPort: port, sshHostKeys, ...changes }) };
  const sockets = new Map([['target', join(pair.directory, 'client/receive.sock')]]);
  relay = await serveRelay(join(pair.directory, 'relay.sock'), (peer) => sockets.get(peer) ?? null);
}
const get = () => pair.links.get('m1', 1, pair.route({ transport: 'ssh' }), NEVER);

test.each(['direct', 'relayed'] as const)('carries images and files, %s', async (way) => {
  await begin(way);
  await move(pair, 'ssh');
  expect(pair.links.peek('m1')?.way).toBe(way);
});

test('a host key that is not pinned is refused, straight and through the client', async () => {
  for (const way of ['direct', 'relayed'] as const) {
    await begin(way, false);
    await pair.expect({ transport: 'ssh' });
    expect(await codeOf(get())).toBe('HOST_KEY_MISMATCH');
    if (way === 'direct') await pair.close();
  }
});

test('whoever is not the source of the session reaches nothing', async () => {
  await begin('direct');
  await pair.expect({ transport: 'ssh', sourceKey: pair.target.publicKey });
  expect(await codeOf(get())).toBe('TRANSFER_BROKEN');
  expect(pair.refused).toEqual([expect.stringContaining('its key is not the one')]);
});

test('the port is open from the first session on', async () => {
  await begin('direct');
  const reaches = async (): Promise<boolean> => {
    const socket = connect(pair.port, '127.0.0.1');
    const came = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return came;
  };
  expect(await reaches()).toBe(false);
  await pair.expect({ transport: 'ssh' });
  expect(await reaches()).toBe(true);
  await pair.receiver.close();
  expect(await reaches()).toBe(false);
});

test('a host that the client does not know is unreachable', async () => {
  await begin('relayed');
  await pair.expect({ transport: 'ssh' });
  const route = { ...pair.route({ transport: 'ssh' }), peer: 'stranger' };
  expect(await codeOf(pair.links.get('m1', 1, route, NEVER))).toBe('PEER_UNREACHABLE');
});
