/** The receiver's doors, tried by those who may not enter, and by a source that does not keep to the protocol. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createLinks, createReceiver, loadIdentity } from '@cmt/host';
import { afterEach, describe, expect, it } from 'vitest';
import type { Channel } from '../../libs/host/src/transports/channel.ts';
import { FileDigest, newDigestKey } from '../../libs/host/src/transports/digest.ts';
import { HEADER_BYTES, writeChunkHeader } from '../../libs/host/src/transports/frames.ts';
import { expectMessage, openChannel } from '../../libs/host/src/transports/handshake.ts';
import { ImagesToSource } from '../../libs/host/src/transports/messages.ts';
import type { Purpose } from '../../libs/host/src/transports/messages.ts';
import { codeOf, NEVER, QUICK, startPair, until } from '../support/transfer-pair.ts';
import type { TransferPair } from '../support/transfer-pair.ts';

let pair: TransferPair;
afterEach(() => pair.close());

const dial = (): Socket => connect({ port: pair.port, host: '127.0.0.1', allowHalfOpen: true });

/** A channel as the prepared source opens it, for a purpose that its own code would never ask for. */
function open(purpose: Purpose, epoch = 1): Promise<Channel> {
  const asker = { host: 'source', identity: pair.source, migration: 'm1', epoch, route: pair.route() };
  return openChannel(dial(), asker, purpose, { ms: 2000 });
}

/** What a connection hears after it has said something; ends when the receiver hangs up. */
async function hear(socket: Socket, say: (challenge: Buffer) => Buffer): Promise<string> {
  let heard = '';
  socket.once('data', (challenge: Buffer) => socket.write(say(challenge)));
  socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
  await new Promise((resolve) => {
    socket.once('end', resolve);
    socket.once('error', resolve);
  });
  socket.destroy();
  return heard;
}

describe('who is not the prepared source', () => {
  it('is refused with another key', async () => {
    pair = await startPair();
    await pair.expect();
    const identity = await loadIdentity(join(pair.directory, 'stranger'));
    const links = createLinks({ host: 'source', identity, timings: QUICK });
    expect(await codeOf(links.get('m1', 1, pair.route(), NEVER))).toBe('TRANSFER_BROKEN');
    expect(pair.refused.join()).toContain('its key is not the one');
    expect(await readdir(pair.inbox)).toEqual([]);
  });

  it('is refused with the right words of an earlier conversation', async () => {
    pair = await startPair();
    await pair.expect();
    const said: Buffer[] = [];
    const socket = dial();
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = (...args: unknown[]) => {
      said.push(args[0] as Buffer);
      return write(...args);
    };
    const asker = { host: 'source', identity: pair.source, migration: 'm1', epoch: 1, route: pair.route() };
    const channel = await openChannel(socket, asker, { kind: 'images', name: '1' }, { ms: 2000 });
    channel.destroy();
    const heard = await hear(dial(), () => Buffer.concat(said));
    expect(heard).toContain('its key is not the one');
    expect(heard).not.toContain('"opened"');
  });

  it('is refused in an epoch that nobody prepared', async () => {
    pair = await startPair();
    await pair.expect({ epoch: 2 });
    expect(await codeOf(open({ kind: 'control' }, 1))).toBe('STALE_EPOCH');
    expect(await codeOf(open({ kind: 'control' }, 3))).toBe('SESSION_LOST');
  });

  it.each([
    ['noise', Buffer.alloc(100, 0xee)],
    [
      'a message that is too long',
      Buffer.concat([Buffer.from('010100000000000000ffffff', 'hex'), Buffer.alloc(100)]),
    ],
    ['file bytes', Buffer.concat([Buffer.from('010200000000000000000004', 'hex'), Buffer.alloc(4)])],
    [
      'a message of another kind',
      Buffer.concat([Buffer.from('010100000000000000000002', 'hex'), Buffer.from('{}')]),
    ],
  ])('is hung up on for %s', async (_what, bytes) => {
    pair = await startPair();
    await pair.expect();
    const heard = await hear(dial(), () => bytes);
    expect(heard).not.toContain('opened');
    expect(pair.refused).toHaveLength(1);
  });

  it('is hung up on for saying nothing', async () => {
    pair = await startPair({ timings: { ...QUICK, handshake: 50 } });
    await pair.expect();
    await hear(dial(), () => Buffer.alloc(0));
    expect(pair.refused).toEqual(['nothing was heard for 50 ms']);
  });

  it('gets no connection for images that nobody waits for, nor with another key', async () => {
    pair = await startPair();
    await pair.expect();
    expect(await codeOf(open({ kind: 'carriage', name: 'final' }))).toBe('TRANSFER_BROKEN');
    const images = await open({ kind: 'images', name: 'final' });
    images.send({ type: 'carry' });
    expect(await expectMessage(images, ImagesToSource, { ms: 2000 })).toMatchObject({ type: 'carriage' });
    const identity = await loadIdentity(join(pair.directory, 'stranger'));
    const asker = { host: 'source', identity, migration: 'm1', epoch: 1, route: pair.route() };
    const carriage = { kind: 'carriage', name: 'final' } as const;
    expect(await codeOf(openChannel(dial(), asker, carriage, { ms: 2000 }))).toBe('TRANSFER_BROKEN');
    images.destroy();
  });

  it('is hung up on when it speaks on a connection that a carrier took over', async () => {
    pair = await startPair();
    await pair.expect();
    const images = await open({ kind: 'images', name: 'final' });
    images.send({ type: 'carry' });
    await expectMessage(images, ImagesToSource, { ms: 2000 });
    const carriage = (await open({ kind: 'carriage', name: 'final' })).detach();
    expect(await expectMessage(images, ImagesToSource, { ms: 8000 })).toEqual({ type: 'ready' });
    carriage.write(Buffer.concat([Buffer.from('020000000000000000000004', 'hex'), Buffer.alloc(20)]));
    const answer = await expectMessage(images, ImagesToSource, { ms: 8000 });
    expect(answer).toMatchObject({ type: 'failed', failure: { code: 'TRANSFER_BROKEN' } });
    expect(await readdir(join(pair.inbox, 'final'))).toEqual([]);
    carriage.destroy();
  });
});

describe('who is not the prepared target', () => {
  it('is found out by the source', async () => {
    pair = await startPair();
    await pair.expect();
    const { publicKey } = pair.source;
    expect(await codeOf(pair.links.get('m1', 1, pair.route({ publicKey }), NEVER))).toBe('HOST_KEY_MISMATCH');
  });
});

describe('a source that breaks the protocol', () => {
  const chunk = (file: number, bytes: Buffer): Buffer => {
    const frame = Buffer.concat([Buffer.alloc(HEADER_BYTES), bytes]);
    writeChunkHeader(frame, file, bytes.length);
    return frame;
  };
  const file = (name: string, index = 0) => ({ type: 'file', file: index, name, key: newDigestKey() });
  /** Opens the images of round 1, does something, and returns what the target answers. */
  async function images(act: (channel: Channel) => void): Promise<string> {
    pair = await startPair();
    await pair.expect();
    const channel = await open({ kind: 'images', name: '1' });
    act(channel);
    return codeOf(expectMessage(channel, ImagesToSource, { ms: 2000 }));
  }

  it.each(['../evil', '..', '.hidden', '/etc/evil', 'a/b', '', 'parent/x', 'x\u0000y', 'x'.repeat(200)])(
    'with the file name %j writes nothing',
    async (name) => {
      const answer = await images((channel) => {
        channel.send(file(name));
        void channel.write(chunk(0, Buffer.from('evil'))).catch(() => undefined);
      });
      expect(answer).toContain('closed the connection');
      expect(pair.refused.join()).toContain('not expected here');
      expect(await readdir(join(pair.inbox, '1'))).toEqual([]);
      expect((await readdir(pair.directory)).sort()).toEqual([
        'bundle with spaces',
        'inbox',
        'outbox',
        'source',
        'target',
      ]);
    },
  );

  it('with the name of a round that is none opens nothing', async () => {
    pair = await startPair();
    await pair.expect();
    expect(await codeOf(open({ kind: 'images', name: '../outbox' }))).toContain('closed the connection');
    expect(await readdir(pair.inbox)).toEqual([]);
  });

  const key = newDigestKey();
  const digest = new FileDigest(key, 'core-1.img').result();
  const complete = { type: 'complete', file: 0, size: 0, digest };
  const core = { ...file('core-1.img'), key };
  it.each([
    ['bytes of a file that did not begin', [], chunk(7, Buffer.from('x')), 'did not begin'],
    ['a file twice', [core, core], null, 'began twice'],
    ['a name twice', [core, complete, { ...core, file: 1 }, { ...complete, file: 1 }], null, 'EEXIST'],
    [
      'an end before the files are complete',
      [core, { type: 'end', files: 1, parent: null }],
      null,
      'not complete',
    ],
    [
      'an end that counts other files',
      [core, complete, { type: 'end', files: 2, parent: null }],
      null,
      'not complete',
    ],
    ['a parent that is no round', [{ type: 'end', files: 0, parent: '../../..' }], null, 'not expected here'],
  ])('with %s is told nothing and verified nothing', async (_what, messages, bytes, reason) => {
    const answer = await images((channel) => {
      for (const message of messages) channel.send(message);
      if (bytes !== null) void channel.write(bytes).catch(() => undefined);
    });
    expect(answer).toContain('closed the connection');
    expect(pair.refused.join()).toContain(reason);
  });

  it('with another size or digest is told which file', async () => {
    const answer = await images((channel) => {
      channel.send(core);
      channel.send({ ...complete, size: 1 });
    });
    expect(answer).toBe('it did not fail');
    expect(pair.refused.join()).toContain('core-1.img');
  });
});

describe('the unix door', () => {
  it('is not taken from a worker that listens, and is taken over from one that died', async () => {
    pair = await startPair();
    const options = { host: 'target', identity: pair.target, address: '127.0.0.1', port: pair.port };
    await expect(createReceiver({ ...options, socket: pair.socket }).listen()).rejects.toThrow(
      'Another worker',
    );
    const left = join(pair.directory, 'left', 'receive.sock');
    const first = createReceiver({ ...options, socket: left });
    await first.listen();
    await first.close();
    await writeFile(left, '');
    const second = createReceiver({ ...options, socket: left });
    await second.listen();
    await second.close();
    await rm(join(pair.directory, 'left'), { recursive: true });
  });

  it('says when its path is too long for a socket', async () => {
    pair = await startPair();
    const socket = join(pair.directory, 'x'.repeat(108));
    const options = { host: 'target', identity: pair.target, address: '127.0.0.1', port: pair.port };
    await expect(createReceiver({ ...options, socket }).listen()).rejects.toThrow('too long');
  });

  it('closes with connections open', async () => {
    pair = await startPair();
    await pair.expect();
    const channel = await open({ kind: 'control' });
    await pair.receiver.close();
    await until(() => !channel.isOpen);
  });
});
