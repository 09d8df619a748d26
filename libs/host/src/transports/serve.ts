/** Target: what happens on a channel once it is admitted, one function per purpose. */
import { dirname, join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import type { Codec, HostName } from '@cmt/contracts';
import { CarriedImages } from './carried-images.ts';
import type { Channel } from './channel.ts';
import { errnoOf } from './errno.ts';
import { expectMessage } from './handshake.ts';
import type { Frame } from './frames.ts';
import type { Timings } from './limits.ts';
import { ControlToTarget, ImagesToTarget } from './messages.ts';
import { freshDirectory, receiveImages } from './receive-images.ts';
import { startFileServer } from './receive-files.ts';
import type { TargetSession } from './session.ts';

/** An admitted channel and all that serving it needs. */
export interface Scene {
  readonly channel: Channel;
  readonly session: TargetSession;
  /** Name the source gave itself, and this host's. */
  readonly source: HostName;
  readonly host: HostName;
  readonly timings: Timings;
}

/** Echoes, go and abandon, until the source leaves or falls silent. @throws ChannelError */
export async function serveControl(scene: Scene, accept: () => void): Promise<void> {
  const { channel, session, timings } = scene;
  accept();
  session.connected(channel, scene.source);
  try {
    while (channel.isOpen) {
      const message = await expectMessage(channel, ControlToTarget, { ms: timings.silence });
      obey(message, scene);
    }
  } finally {
    session.disconnected(channel);
  }
}

function obey(message: ControlToTarget, { channel, session }: Scene): void {
  if (message.type === 'echo') channel.send({ type: 'echo', sentAt: message.sentAt, at: Date.now() });
  else if (message.type === 'abandon') session.abandon(message.reason);
  else {
    try {
      session.go();
    } catch (error) {
      if (!(error instanceof CmtError)) throw error;
      channel.send({ type: 'failed', failure: error.failure });
    }
  }
}

/** The port of a door for connections of their own, undefined where it is the endpoint's, null where there is no door. */
export type CarriagePort = number | undefined | null;

/** One directory of images, verified. @throws CmtError TRANSFER_CORRUPT, TARGET_FULL @throws ChannelError */
export async function serveImages(
  scene: Scene,
  { name, port }: { readonly name: string; readonly port: CarriagePort },
  accept: () => void,
): Promise<void> {
  const { channel, session } = scene;
  await freshDirectory(join(session.expectation.images, name));
  session.imagesBegin(name);
  accept();
  channel.allow({ messageBytes: 4096, chunks: true });
  try {
    const received = await receive(scene, name, port);
    session.imagesVerified(name);
    channel.send({ type: 'received', ...received });
    channel.end();
  } catch (error) {
    throw errnoOf(error) === 'ENOSPC' ? session.noSpace() : error;
  }
}

/** On a connection of their own if the source wants one and gets it, else on this channel. */
async function receive(
  { channel, session, host }: Scene,
  name: string,
  port: CarriagePort,
): Promise<{ files: number; bytes: number }> {
  const first = await channel.next();
  const wish = carryIn(first);
  if (wish === null) return receiveImages(channel, session, name, host, first);
  if (port === null) {
    channel.send({ type: 'carriage' });
    return receiveImages(channel, session, name, host, await channel.next());
  }
  const carried = new CarriedImages({ channel, session, host, port, ...wish }, name);
  try {
    const outcome = await Promise.race([carried.received, channel.next().then((frame) => ({ frame }))]);
    if ('frame' in outcome) {
      await carried.cancel();
      return await receiveImages(channel, session, name, host, outcome.frame);
    }
    // Nobody waits for the end of a carrier that has done its work: that would be part of the blackout.
    void carried.cancel();
    return outcome;
  } catch (error) {
    await carried.cancel();
    throw error;
  }
}

/** How bytes would be packed on a connection of their own; null when none is asked for. */
function carryIn(frame: Frame | null): { readonly compress: Codec | undefined } | null {
  if (frame?.kind !== 'message') return null;
  const { data } = ImagesToTarget.safeParse(frame.body);
  return data?.type === 'carry' ? { compress: data.compress } : null;
}

/** One pass of rsync into the session's bundle. @throws CmtError FILES_FAILED */
export async function serveFiles(scene: Scene, socket: string, accept: () => void): Promise<void> {
  const { channel, session, source, host } = scene;
  const { bundle } = session.expectation;
  if (bundle === null)
    throw new CmtError('FILES_FAILED', {
      container: session.expectation.migration,
      host: source,
      peer: host,
      reason: 'both hosts share the files',
    });
  const server = await startFileServer(bundle, dirname(socket));
  try {
    accept();
    await server.serve(channel.detach(), (count) => session.byteArrived(count));
  } finally {
    await server.stop();
  }
}
