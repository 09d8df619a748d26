/** Images packed by zstd on their way: what arrives, what it takes of the wire, and what a receiver refuses. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Route } from '@cmt/contracts';
import { afterEach, describe, expect, it } from 'vitest';
import { ReceiverWord } from '../../libs/host/src/transports/carrier/messages.ts';
import { Carrier } from '../../libs/host/src/transports/carrier/process.ts';
import { KEY_BYTES, MAX_SEALED, Sealer, TagDigest } from '../../libs/host/src/transports/carrier/sealed.ts';
import { loadZstd } from '../../libs/host/src/transports/carrier/zstd.ts';
import { startMeddler } from '../support/meddler.ts';
import { codeOf, contentOf, NEVER, startPair, until, writeImages } from '../support/transfer-pair.ts';
import type { TransferPair } from '../support/transfer-pair.ts';

const PAGE = 4096;

/** Pages of which the first quarter is random: they pack to a little more than that. */
const pages = (count: number): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, () => [randomBytes(PAGE / 4), Buffer.alloc((3 * PAGE) / 4)]).flat(),
  );

describe('from host to host', () => {
  let pair: TransferPair;
  afterEach(() => pair.close());

  const linked = async (route: Partial<Route> = {}) =>
    await pair.links.get('m1', 1, { ...pair.route(), compress: 'zstd', ...route }, NEVER);

  it('images arrive as they were: what packs, what does not, and what is small', async () => {
    pair = await startPair();
    await pair.expect();
    await writeFile(join(pair.outbox, 'pages-1.img'), pages(2000));
    await writeFile(join(pair.outbox, 'pages-2.img'), Buffer.concat([randomBytes(9_000_000), pages(3000)]));
    await writeImages(pair.outbox, { 'pages-3.img': 5_000_000, 'core-1.img': 900, 'pages-4.img': 0 });
    const link = await linked();
    const { bytesSent, imageBytes } = await link.sendImages('final', pair.outbox, NEVER).finish();
    expect(link.uncarried).toBeNull();
    expect(imageBytes).toBe(5000 * PAGE + 14_000_900);
    expect(bytesSent).toBeLessThan(14_000_900 + 0.3 * 5000 * PAGE + 8 * MAX_SEALED);
    expect(await contentOf(join(pair.inbox, 'final'))).toEqual(await contentOf(pair.outbox));
  });

  it('a bandwidth is what they take of the wire, not what they were', async () => {
    pair = await startPair();
    await pair.expect();
    await writeFile(join(pair.outbox, 'pages-1.img'), pages(2000));
    const link = await linked({ bandwidth: 1_000_000 });
    await link.warmUp(NEVER);
    const began = performance.now();
    const { bytesSent, imageBytes } = await link.sendImages('final', pair.outbox, NEVER).finish();
    const seconds = (performance.now() - began) / 1000;
    expect(bytesSent).toBeLessThan(0.3 * imageBytes);
    expect(seconds).toBeGreaterThan((0.95 * bytesSent) / 1_000_000);
    expect(seconds).toBeLessThan(imageBytes / 1_000_000);
  });

  it('one wrong bit is seen', async () => {
    pair = await startPair();
    const meddler = await startMeddler(pair.port, { flipAt: 900_000 });
    await pair.expect();
    await writeFile(join(pair.outbox, 'pages-1.img'), pages(2000));
    const link = await pair.links.get(
      ...(['m1', 1, { ...pair.route({ receivePort: meddler.port }), compress: 'zstd' }, NEVER] as const),
    );
    expect(await codeOf(link.sendImages('final', pair.outbox, NEVER).finish())).toBe('TRANSFER_CORRUPT');
    await meddler.close();
  });

  it('what was reserved is what they unpack to', async () => {
    pair = await startPair();
    await pair.expect({ quota: 8_000_000 });
    await writeFile(join(pair.outbox, 'pages-1.img'), Buffer.alloc(64_000_000));
    expect(await codeOf((await linked()).sendImages('final', pair.outbox, NEVER).finish())).toBe(
      'TARGET_FULL',
    );
  });

  it('where they have no connection of their own they go as they are', async () => {
    pair = await startPair();
    await pair.expect();
    await writeFile(join(pair.outbox, 'pages-1.img'), pages(500));
    const link = await linked();
    Object.assign(link, { uncarried: 'as where no port is reached' });
    const { bytesSent, imageBytes } = await link.sendImages('final', pair.outbox, NEVER).finish();
    expect([bytesSent, imageBytes]).toEqual([500 * PAGE, 500 * PAGE]);
    expect(await contentOf(join(pair.inbox, 'final'))).toEqual(await contentOf(pair.outbox));
  });
});

describe('a receiving carrier', () => {
  const ended: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const end of ended.splice(0).reverse()) await end();
  });

  /** One that waits for images, and whoever sends them: with the right key, and else whatever it likes. */
  async function receiving(codec?: 'zstd', quota = 2 ** 30) {
    const directory = await mkdtemp(join(tmpdir(), 'cmt-carrier-'));
    ended.push(() => rm(directory, { recursive: true }));
    const { near, far } = await socketPair();
    ended.push(() => Promise.resolve(near.destroy()));
    const words: ReceiverWord[] = [];
    const carrier = new Carrier(['receive', codec], far, ReceiverWord, (word) => words.push(word));
    ended.push(() => carrier.kill());
    const key = randomBytes(KEY_BYTES);
    const sealer = new Sealer(key);
    carrier.order({ type: 'begin', directory, key: key.toString('base64'), quota });
    const send = (kind: 'message' | 'bytes' | 'zstd', bytes: Buffer): Buffer => {
      const frame = sealer.seal(kind, 0, bytes);
      near.write(Buffer.concat(frame));
      return frame[2];
    };
    const tell = (message: object): Buffer => send('message', Buffer.from(JSON.stringify(message)));
    tell({ type: 'file', file: 0, name: 'pages-1.img' });
    const outcome = async () => {
      await until(() => words.some(({ type }) => type === 'failed' || type === 'received'));
      return words.at(-1);
    };
    return { directory, send, tell, outcome };
  }

  it('takes packed and plain frames of one file, under one digest', async () => {
    const zstd = await loadZstd();
    const { directory, send, tell, outcome } = await receiving('zstd');
    const digest = new TagDigest();
    const plain = [pages(10), randomBytes(5000), pages(20)];
    for (const bytes of plain) {
      const packed = zstd.pack(bytes);
      digest.update(packed.length < bytes.length ? send('zstd', packed) : send('bytes', bytes));
    }
    const whole = Buffer.concat(plain);
    tell({ type: 'complete', file: 0, size: whole.length, digest: digest.result() });
    tell({ type: 'end', files: 1, parent: null });
    expect(await outcome()).toEqual({ type: 'received', files: 1, bytes: whole.length });
    expect((await readFile(join(directory, 'pages-1.img'))).equals(whole)).toBe(true);
  });

  it('takes no packed frame that was not agreed upon', async () => {
    const { send, outcome } = await receiving();
    send('zstd', (await loadZstd()).pack(pages(10)));
    expect(await outcome()).toMatchObject({ type: 'failed', why: 'broken', file: 'pages-1.img' });
  });

  it('refuses what would unpack to more than a frame may hold', async () => {
    const { directory, send, outcome } = await receiving('zstd');
    // Says one byte more than that, and holds a gigabyte (RFC 8878, 3.1.1): eight thousand blocks of 128 KiB in four bytes each.
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0]);
    header.writeUInt32LE(MAX_SEALED + 1, 5);
    const block = (isLast: boolean) => {
      const bytes = Buffer.from([0, 0, 0, 7]);
      bytes.writeUIntLE((131_072 << 3) | 2 | (isLast ? 1 : 0), 0, 3);
      return bytes;
    };
    send('zstd', Buffer.concat([header, ...Array.from({ length: 8192 }, (_, n) => block(n === 8191))]));
    expect(await outcome()).toMatchObject({ type: 'failed', why: 'corrupt', file: 'pages-1.img' });
    expect(await readFile(join(directory, 'pages-1.img'))).toHaveLength(0);
  });

  it('counts what it unpacks, not what came', async () => {
    const { send, outcome } = await receiving('zstd', MAX_SEALED);
    const packed = (await loadZstd()).pack(Buffer.alloc(MAX_SEALED));
    send('zstd', packed);
    send('zstd', packed);
    expect(await outcome()).toMatchObject({ type: 'failed', why: 'quota' });
  });
});

async function socketPair(): Promise<{ readonly near: Socket; readonly far: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const arrived = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  near.on('error', () => undefined);
  const far = await arrived;
  server.close();
  return { near, far };
}
