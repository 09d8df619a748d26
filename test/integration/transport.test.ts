/** The data connection between two hosts over real sockets: what arrives, and what happens when it does not. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { appendFile, readlink, rm, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { startMeddler } from '../support/meddler.ts';
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

describe('over tcp', () => {
  it('images, files and the word to restore arrive', async () => {
    pair = await startPair();
    await writeImages(pair.outbox, IMAGES);
    await symlink('../1', join(pair.outbox, 'parent'));
    await move(pair, 'tcp');
    const final = join(pair.inbox, 'final');
    expect(await readlink(join(final, 'parent'))).toBe('../1');
    expect((await stat(final)).mode & 0o777).toBe(0o700);
    expect((await stat(join(final, 'core-1.img'))).mode & 0o777).toBe(0o600);
    expect((await stat(pair.socket)).mode & 0o777).toBe(0o600);
    expect((await stat(join(pair.socket, '..'))).mode & 0o777).toBe(0o700);
  });

  it('images are followed while they grow', async () => {
    pair = await startPair();
    await pair.expect();
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    const sending = connection.sendImages('1', pair.outbox, NEVER);
    for (const [index, size] of [700_000, 1, 90_000, 2_000_000].entries()) {
      const before = sending.bytesSent;
      await appendFile(join(pair.outbox, `pages-${1 + (index % 2)}.img`), Buffer.alloc(size, index + 1));
      await until(() => sending.bytesSent === before + size);
    }
    await writeImages(pair.outbox, { 'core-1.img': 10, 'pages-3.img': 5000 });
    const { bytesSent } = await sending.finish();
    expect(bytesSent).toBe(2_790_001 + 5010);
    expect(connection.uncarried).toBeNull();
    expect(await contentOf(join(pair.inbox, '1'))).toEqual(await contentOf(pair.outbox));
  });

  it('many page files need no descriptor each, and a directory sent again replaces the first', async () => {
    pair = await startPair();
    await pair.expect();
    const names = Array.from({ length: 300 }, (_, index) => `pages-${index}.img`);
    await writeImages(pair.outbox, Object.fromEntries(names.map((name) => [name, 70_000])));
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    await connection.sendImages('1', pair.outbox, NEVER).finish();
    await rm(join(pair.outbox, 'pages-7.img'));
    await connection.sendImages('1', pair.outbox, NEVER).finish();
    expect(await contentOf(join(pair.inbox, '1'))).toEqual(await contentOf(pair.outbox));
  });

  it.each([
    ['on a connection of their own', null],
    ['through the worker', 'as where no port is reached'],
  ])('images keep to a bandwidth and a share %s, also to those that change', async (_way, uncarried) => {
    pair = await startPair();
    await pair.expect();
    await writeImages(pair.outbox, { 'pages-1.img': 6_000_000 });
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    Object.assign(connection, { uncarried });
    await connection.warmUp(NEVER);
    connection.bandwidth = 50_000_000;
    connection.share = 2_000_000;
    const began = performance.now();
    const sending = connection.sendImages('final', pair.outbox, NEVER);
    await until(() => sending.bytesSent >= 2_000_000);
    connection.share = 90_000_000;
    connection.bandwidth = 8_000_000;
    const { bytesSent } = await sending.finish();
    const seconds = (performance.now() - began) / 1000;
    expect(connection.uncarried).toBe(uncarried);
    expect(bytesSent).toBe(6_000_000);
    expect(seconds).toBeGreaterThan(1.5 * 0.95);
    expect(seconds).toBeLessThan(6);
  });

  it('200 MiB need little memory', async () => {
    pair = await startPair();
    const piece = randomBytes(2 ** 20);
    const pages = createWriteStream(join(pair.outbox, 'pages-1.img'));
    for (let count = 0; count < 200; count += 1) if (!pages.write(piece)) await once(pages, 'drain');
    await new Promise<void>((resolve) => pages.end(resolve));
    await pair.expect();
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    globalThis.gc?.();
    const before = process.memoryUsage.rss();
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 5);
    const { bytesSent } = await connection.sendImages('1', pair.outbox, NEVER).finish();
    clearInterval(watch);
    expect(bytesSent).toBe(200 * 1024 * 1024);
    expect(peak - before).toBeLessThan(60 * 1024 * 1024);
  });
});

describe('a transfer that is damaged', () => {
  it('by a cut ends on both sides, and leaves nothing open', async () => {
    pair = await startPair();
    const meddler = await startMeddler(pair.port, { cutAt: 1_000_000 });
    const session = await pair.expect();
    await writeImages(pair.outbox, IMAGES);
    const connection = await pair.links.get('m1', 1, pair.route({ receivePort: meddler.port }), NEVER);
    const waiting = codeOf(session.complete(NEVER));
    expect(await codeOf(connection.sendImages('final', pair.outbox, NEVER).finish())).toBe('TRANSFER_BROKEN');
    connection.abandon('the images did not arrive');
    expect(await waiting).toBe('TRANSFER_BROKEN');
    await pair.links.closeAll();
    await until(() => meddler.open() === 0);
    await meddler.close();
  });

  it('by a lost connection ends the wait of both sides without anybody telling', async () => {
    pair = await startPair();
    const meddler = await startMeddler(pair.port, {});
    const session = await pair.expect();
    const connection = await pair.links.get('m1', 1, pair.route({ receivePort: meddler.port }), NEVER);
    const waiting = codeOf(session.complete(NEVER));
    const armed = codeOf(connection.restorerArmed(NEVER));
    await meddler.close();
    expect(await armed).toBe('TRANSFER_BROKEN');
    expect(await waiting).toBe('TRANSFER_BROKEN');
    expect(pair.links.peek('m1')).toBeNull();
  });

  it('by one wrong bit is seen, and is sent again on the same link', async () => {
    pair = await startPair();
    const meddler = await startMeddler(pair.port, { flipAt: 900_000 });
    await pair.expect();
    await writeImages(pair.outbox, IMAGES);
    const connection = await pair.links.get('m1', 1, pair.route({ receivePort: meddler.port }), NEVER);
    const sending = connection.sendImages('final', pair.outbox, NEVER);
    expect(await codeOf(sending.finish())).toBe('TRANSFER_CORRUPT');
    expect(await codeOf(connection.go(NEVER))).toBe('TRANSFER_BROKEN');
    await rm(join(pair.outbox, 'pages-1.img'));
    await connection.sendImages('final', pair.outbox, NEVER).finish();
    await connection.go(NEVER);
    expect(connection.uncarried).toBeNull();
    await meddler.close();
  });

  it('is refused when it exceeds what was reserved, at once', async () => {
    pair = await startPair();
    await pair.expect({ quota: 2_000_000 });
    await writeImages(pair.outbox, { 'pages-1.img': 30_000_000 });
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    const sending = connection.sendImages('final', pair.outbox, NEVER);
    expect(await codeOf(sending.finish())).toBe('TARGET_FULL');
    expect(sending.bytesSent).toBeLessThan(30_000_000);
  });

  it('ends when the step is aborted, and when the writer fails', async () => {
    pair = await startPair();
    await pair.expect();
    await writeImages(pair.outbox, IMAGES);
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    const stop = new AbortController();
    const sending = connection.sendImages('1', pair.outbox, stop.signal);
    await until(() => sending.bytesSent > 0);
    stop.abort();
    expect(await codeOf(sending.finish())).toBe('CANCELLED');
    const failed = connection.sendImages('1', pair.outbox, NEVER);
    failed.cancel();
    expect(await codeOf(failed.finish())).toBe('CANCELLED');
    await connection.sendImages('1', pair.outbox, NEVER).finish();
  });
});

describe('a session that ends', () => {
  it('ends the link, and the next one is told that it is lost', async () => {
    pair = await startPair();
    const session = await pair.expect();
    const connection = await pair.links.get('m1', 1, pair.route(), NEVER);
    const waiting = codeOf(session.complete(NEVER));
    const armed = codeOf(connection.restorerArmed(NEVER));
    await pair.receiver.forget('m1');
    expect(await waiting).toBe('SESSION_LOST');
    expect(await armed).toBe('TRANSFER_BROKEN');
    // The TCP door is shut with the last session that asked for it.
    expect(await codeOf(pair.links.get('m1', 1, pair.route(), NEVER))).toBe('PEER_UNREACHABLE');
    await pair.expect({ migration: 'm2' });
    expect(await codeOf(pair.links.get('m1', 1, pair.route(), NEVER))).toBe('SESSION_LOST');
  });

  it('is replaced by a newer epoch, and never by an older one', async () => {
    pair = await startPair();
    const old = await pair.expect({ epoch: 2 });
    const waiting = codeOf(old.complete(NEVER));
    await pair.expect({ epoch: 3 });
    expect(await waiting).toBe('SESSION_LOST');
    expect(pair.receiver.session('m1', 2)).toBeNull();
    expect(pair.receiver.session('m1', 3)).not.toBeNull();
    expect(await codeOf(pair.expect({ epoch: 2 }))).toBe('STALE_EPOCH');
    expect(await codeOf(pair.links.get('m1', 2, pair.route(), NEVER))).toBe('STALE_EPOCH');
  });

  it('lets a source come back: the newer connection wins', async () => {
    pair = await startPair();
    const session = await pair.expect();
    await writeImages(pair.outbox, IMAGES);
    const first = await pair.links.get('m1', 1, pair.route(), NEVER);
    const waiting = session.complete(NEVER);
    const slow = first.sendImages('final', pair.outbox, NEVER);
    await until(() => slow.bytesSent >= 3_000_000);
    await pair.links.drop('m1');
    const second = await pair.links.get('m1', 1, pair.route(), NEVER);
    await second.sendImages('final', pair.outbox, NEVER).finish();
    expect(await codeOf(slow.finish())).toBe('TRANSFER_BROKEN');
    await second.go(NEVER);
    await waiting;
  });
});
