/** The way on which pages follow a container: bytes both ways between two hosts, which ends when either end does. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startDetached, tryRun } from '../../libs/host/src/process.ts';
import { thisMachine } from '../../libs/host/src/this-machine.ts';
import type { PageStream } from '../../libs/host/src/transports/page-stream.ts';
import { startMeddler } from '../support/meddler.ts';
import { NEVER, startPair, type TransferPair } from '../support/transfer-pair.ts';

let pair: TransferPair;
let streams: PageStream[] = [];
afterEach(async () => {
  await Promise.all(streams.map((stream) => stream.close()));
  streams = [];
  await pair.close();
  expect(await carriers()).toEqual([]);
});

/** Those that this process has started. */
async function carriers(): Promise<string[]> {
  const { stdout } = await tryRun('pgrep', ['-P', `${process.pid}`, '-f', 'image-carrier.js pages'], {
    timeoutMs: 5000,
  });
  return stdout.split('\n').filter(Boolean);
}

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cmt-pages-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** What pages may take of the wire from now on, in bytes per second. */
async function rateFile(rate: number | null): Promise<string> {
  const path = join(directory, 'rate.json');
  await thisMachine.files.writeText(path, JSON.stringify(rate));
  return path;
}

/** Both ends, as the two CRIU have them. */
async function opened(): Promise<readonly [Socket, Socket]> {
  const session = await pair.expect();
  const link = await pair.links.get('m1', 1, pair.route(), NEVER);
  streams = await Promise.all([link.openPages(await rateFile(null), NEVER), session.pages()]);
  return [streams[0]!.socket, streams[1]!.socket];
}

/** Reads that many bytes. */
async function read(socket: Socket, count: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    pieces.push(piece);
    size += piece.length;
    if (size >= count) break;
  }
  return Buffer.concat(pieces);
}

const ended = (socket: Socket): Promise<unknown> => {
  socket.resume();
  return socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', resolve));
};

describe('a way of pages', () => {
  it('carries bytes both ways, many and few, in their order', async () => {
    pair = await startPair();
    const [source, target] = await opened();
    target.write('a page, please');
    expect((await read(source, 14)).toString()).toBe('a page, please');
    const [pages, requests] = [randomBytes(9_000_000), randomBytes(1_000_000)];
    source.write(pages);
    target.write(requests);
    const [arrived, asked] = await Promise.all([read(target, pages.length), read(source, requests.length)]);
    expect([arrived.equals(pages), asked.equals(requests)]).toEqual([true, true]);
  });

  it('says the last word of the one that hangs up, and ends', async () => {
    pair = await startPair();
    const [source, target] = await opened();
    source.end('all of it');
    expect((await read(target, 9)).toString()).toBe('all of it');
    await Promise.all([ended(target), ended(source)]);
  });

  it.each(['source', 'target'] as const)('ends when the carrier of the %s is killed', async (side) => {
    pair = await startPair();
    const [source, target] = await opened();
    await streams[side === 'source' ? 0 : 1]?.close();
    await ended(side === 'source' ? target : source);
  });

  it('ends when the other side is silent', async () => {
    pair = await startPair();
    const [source] = await opened();
    const { stdout } = await tryRun('pgrep', ['-P', `${process.pid}`, '-n', '-f', 'image-carrier.js pages'], {
      timeoutMs: 5000,
    });
    process.kill(Number(stdout), 'SIGSTOP');
    await Promise.race([ended(source), ended(streams[1]!.socket)]);
    await Promise.all(streams.map((stream) => stream.close()));
  });

  it('takes as much as it may, and another rate while it goes on', async () => {
    pair = await startPair();
    await rateFile(1_000_000);
    const session = await pair.expect();
    const link = await pair.links.get('m1', 1, pair.route(), NEVER);
    streams = await Promise.all([link.openPages(join(directory, 'rate.json'), NEVER), session.pages()]);
    const [source, target] = [streams[0]!.socket, streams[1]!.socket];
    // A minute's worth at the first rate.
    source.write(Buffer.alloc(64 << 20));
    const started = performance.now();
    await read(target, 1_000_000);
    expect(performance.now() - started).toBeGreaterThan(700);
    await rateFile(null);
    await read(target, 60 << 20);
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it('outlives whoever has handed it over', async () => {
    pair = await startPair();
    const [source, target] = await opened();
    const echo = startDetached('cat', [], [source, 'pipe', 'ignore']);
    const exited = once(echo, 'exit');
    streams[0]?.keep();
    target.write('still there?');
    const [heard] = (await once(echo.stdout!, 'data')) as [Buffer];
    expect(heard.toString()).toBe('still there?');
    await streams[1]?.close();
    await exited;
  });

  it('hands CRIU nothing that was changed on the way', async () => {
    pair = await startPair();
    const meddler = await startMeddler(pair.port, { flipAt: 200_000 });
    const session = await pair.expect();
    const link = await pair.links.get('m1', 1, pair.route({ receivePort: meddler.port }), NEVER);
    streams = await Promise.all([link.openPages(await rateFile(null), NEVER), session.pages()]);
    const [source, target] = [streams[0]!.socket, streams[1]!.socket];
    const pages = randomBytes(1_000_000);
    let got = Buffer.alloc(0);
    target.on('data', (bytes: Buffer) => (got = Buffer.concat([got, bytes])));
    source.write(pages);
    await Promise.all([ended(target), ended(source)]);
    expect(got.length).toBeLessThan(200_000);
    expect(got.equals(pages.subarray(0, got.length))).toBe(true);
    await link.close();
    await meddler.close();
  });
});
