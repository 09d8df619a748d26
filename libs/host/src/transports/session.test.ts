import { Duplex } from 'node:stream';
import type { CmtError } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { Channel } from './channel.ts';
import { TargetSession } from './session.ts';

const NEVER = new AbortController().signal;
const GRACE_MS = 40;

const sessionOf = (quota = 1000): TargetSession =>
  new TargetSession(
    {
      ...{ migration: 'm1', epoch: 1, sourceKey: '', images: '/images', bundle: null },
      ...{ quota, transport: 'tcp' },
    },
    'target',
    GRACE_MS,
  );

/** A channel whose words are kept. */
function controlOf(): { channel: Channel; said: () => string } {
  const words: string[] = [];
  const stream = new Duplex({
    read: () => undefined,
    write: (bytes: Buffer, _encoding, done) => {
      words.push(bytes.toString());
      done();
    },
  });
  const channel = new Channel(stream, { messageBytes: 1000, chunks: false });
  return { channel, said: () => words.join(' ') };
}

const failure = async (work: Promise<unknown>): Promise<CmtError['failure']> =>
  work.then(
    () => expect.unreachable('it resolved'),
    (error: unknown) => (error as CmtError).failure,
  );

function finalImages(session: TargetSession): void {
  session.imagesBegin('final');
  session.imagesVerified('final');
}

describe('a session', () => {
  it('is complete when the source says go, before or after somebody waits', async () => {
    const session = sessionOf();
    finalImages(session);
    session.byteArrived(5);
    const waiting = session.complete(NEVER);
    session.go();
    expect(Math.abs((await waiting).lastByteAt - Date.now())).toBeLessThan(1000);
    await session.complete(NEVER);
  });

  it('does not believe a go without verified images, and forgets it when they come again', async () => {
    const session = sessionOf();
    expect(() => session.go()).toThrow('before its images were complete');
    finalImages(session);
    session.go();
    session.imagesBegin('final');
    expect(() => session.go()).toThrow('before its images were complete');
    const stop = new AbortController();
    const waiting = failure(session.complete(stop.signal));
    stop.abort();
    expect((await waiting).code).toBe('CANCELLED');
  });

  it('tells each waiter once that the source gave up, and waits again for the next try', async () => {
    const session = sessionOf();
    session.abandon('the disk is full');
    const told = await failure(session.complete(NEVER));
    expect(told.code).toBe('TRANSFER_BROKEN');
    expect(told.details['reason']).toContain('the disk is full');
    const next = session.complete(NEVER);
    finalImages(session);
    session.go();
    await next;
  });

  it('waits a grace for a source that was lost, and no longer', async () => {
    const session = sessionOf();
    const [first, second] = [controlOf().channel, controlOf().channel];
    const waiting = session.complete(NEVER);
    session.connected(first, 'source');
    session.disconnected(first);
    session.connected(second, 'source');
    finalImages(session);
    session.go();
    await waiting;

    session.imagesBegin('final');
    const again = failure(session.complete(NEVER));
    session.disconnected(second);
    const begun = performance.now();
    expect((await again).code).toBe('TRANSFER_BROKEN');
    expect(performance.now() - begun).toBeGreaterThan(GRACE_MS / 2);
  });

  it('ends every wait when it ends', async () => {
    const session = sessionOf();
    const waiting = failure(session.complete(NEVER));
    session.end(session.broken('the worker stops'));
    expect((await waiting).code).toBe('TRANSFER_BROKEN');
    expect((await failure(session.complete(NEVER))).code).toBe('TRANSFER_BROKEN');
  });

  it('fails with what its signal carries', async () => {
    const reason = sessionOf().broken('over time');
    const wait = sessionOf().complete(AbortSignal.abort(reason));
    await expect(wait).rejects.toBe(reason);
  });

  it('tells a source that comes later that it is armed, and one that is there that it no longer is', async () => {
    const session = sessionOf();
    session.arm();
    const { channel, said } = controlOf();
    session.connected(channel, 'source');
    expect(said()).toContain('"armed"');
    session.abandon('no');
    await failure(session.complete(NEVER));
    expect(said()).toContain('"disarmed"');
  });

  it('counts all rounds against the quota, a round that is sent again once', () => {
    const session = sessionOf(100);
    session.imagesBegin('1');
    session.imagesGrow('1', 60);
    session.imagesBegin('1');
    session.imagesGrow('1', 60);
    session.imagesBegin('final');
    session.imagesGrow('final', 40);
    expect(() => session.imagesGrow('final', 1)).toThrow('101 are needed');
  });
});
