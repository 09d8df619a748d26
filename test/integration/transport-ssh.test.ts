/** The data connection through a real sshd: who is believed, who is let in, and what a failure is called. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startMeddler } from '../support/meddler.ts';
import { freePort, startAgent, startSshd } from '../support/sshd.ts';
import type { TestSshd } from '../support/sshd.ts';
import {
  codeOf,
  contentOf,
  IMAGES,
  move,
  NEVER,
  startPair,
  until,
  writeImages,
} from '../support/transfer-pair.ts';
import type { TransferPair } from '../support/transfer-pair.ts';

let pair: TransferPair;
afterEach(() => pair.close());

describe('over ssh', () => {
  let directory: string;
  let sshd: TestSshd;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cmt-sshd-'));
    sshd = await startSshd(directory);
  });
  afterAll(async () => {
    await sshd.stop();
    await rm(directory, { recursive: true });
  });

  const endpoint = () => ({ sshPort: sshd.port, sshHostKeys: sshd.hostKeys });
  const get = (changes: Parameters<TransferPair['route']>[0] = {}) =>
    pair.links.get('m1', 1, pair.route({ transport: 'ssh', ...changes }), NEVER);

  it('a key file opens it', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey }, endpoint: endpoint() });
    await writeImages(pair.outbox, IMAGES);
    await move(pair, 'ssh');
  });

  it('an agent opens it', async () => {
    const agent = await startAgent(directory, sshd.acceptedKey);
    pair = await startPair({ ssh: { agent: agent.socket }, endpoint: endpoint() });
    await writeImages(pair.outbox, IMAGES);
    await move(pair, 'ssh');
    await agent.stop();
  });

  it('a pin in known_hosts is enough, of whichever key type', async () => {
    const knownHosts = join(directory, 'known_hosts');
    const rsa = sshd.hostKeys.find((key) => key.startsWith('ssh-rsa'))!;
    await writeFile(knownHosts, `[127.0.0.1]:${sshd.port} ${rsa}\n`);
    pair = await startPair({ ssh: { key: sshd.acceptedKey, knownHosts }, endpoint: { sshPort: sshd.port } });
    await pair.expect({ transport: 'ssh' });
    await get();
  });

  it('a host key that is not pinned is refused before anything is said', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey }, endpoint: endpoint() });
    await pair.expect({ transport: 'ssh' });
    const strange = readFileSync(`${sshd.strangeKey}.pub`, 'utf8');
    expect(await codeOf(get({ sshHostKeys: [strange] }))).toBe('HOST_KEY_MISMATCH');
    expect(await codeOf(get({ sshHostKeys: [] }))).toBe('HOST_KEY_MISMATCH');
    expect(pair.refused).toEqual([]);
  });

  it('a key or an agent that is not accepted, or none, is named', async () => {
    pair = await startPair({ ssh: { key: sshd.strangeKey }, endpoint: endpoint() });
    expect(await codeOf(get())).toBe('SSH_AUTH_FAILED');
    await pair.close();
    pair = await startPair({ ssh: { key: join(directory, 'none') }, endpoint: endpoint() });
    expect(await codeOf(get())).toBe('SSH_AUTH_FAILED');
    await pair.close();
    pair = await startPair({ ssh: { agent: join(directory, 'none.sock') }, endpoint: endpoint() });
    expect(await codeOf(get())).toBe('SSH_AUTH_FAILED');
    await pair.close();
    pair = await startPair({ endpoint: endpoint() });
    expect(await codeOf(get())).toBe('SSH_AUTH_FAILED');
  });

  it('a host that does not answer, and one without a worker, are unreachable', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey }, endpoint: endpoint() });
    expect(await codeOf(get({ sshPort: await freePort() }))).toBe('PEER_UNREACHABLE');
    expect(await codeOf(get({ receiveSocket: '/run/none.sock' }))).toBe('PEER_UNREACHABLE');
    const silent = createServer((socket) => socket.resume());
    const port = await freePort();
    await new Promise<void>((resolve) => silent.listen(port, '127.0.0.1', resolve));
    expect(await codeOf(get({ sshPort: port }))).toBe('PEER_UNREACHABLE');
    await new Promise((resolve) => silent.close(resolve));
  });

  it('a session that was prepared for tcp is not reached', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey }, endpoint: endpoint() });
    await pair.expect({ transport: 'tcp' });
    expect(await codeOf(get())).toBe('SESSION_LOST');
  });

  it('files that are given up in the middle are given up at once', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey }, endpoint: endpoint() });
    await pair.expect({ transport: 'ssh' });
    await writeImages(pair.outbox, { large: 400_000_000 });
    const connection = await get();
    const stop = new AbortController();
    const sending = codeOf(connection.syncFiles(pair.outbox, stop.signal));
    await until(() =>
      readdirSync(pair.bundle).some((name) => statSync(join(pair.bundle, name)).size > 10_000_000),
    );
    stop.abort(new Error('out of time'));
    expect(await sending).toBe('CANCELLED');
  });

  it('a connection that breaks in the middle ends the transfer', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey } });
    const meddler = await startMeddler(sshd.port, { cutAt: 1_000_000 });
    const session = await pair.expect({ transport: 'ssh' });
    await writeImages(pair.outbox, IMAGES);
    const connection = await get({ sshPort: meddler.port, sshHostKeys: sshd.hostKeys, receivePort: 1 });
    const waiting = codeOf(session.complete(NEVER));
    expect(await codeOf(connection.sendImages('final', pair.outbox, NEVER).finish())).toBe('TRANSFER_BROKEN');
    expect(await waiting).toBe('TRANSFER_BROKEN');
    await meddler.close();
  });

  it('images pass ssh where no other port is reached', async () => {
    pair = await startPair({ ssh: { key: sshd.acceptedKey } });
    await pair.expect({ transport: 'ssh' });
    await writeImages(pair.outbox, IMAGES);
    const connection = await get({ ...endpoint(), receivePort: 1 });
    await connection.sendImages('final', pair.outbox, NEVER).finish();
    expect(connection.uncarried).toContain('ECONNREFUSED');
    expect(await codeOf(connection.openPages('/nonexistent', NEVER))).toBe('PAGES_UNREACHABLE');
    expect(await contentOf(join(pair.inbox, 'final'))).toEqual(await contentOf(pair.outbox));
  });
});
