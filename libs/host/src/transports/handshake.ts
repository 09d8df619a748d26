/**
 * The first words on every channel: target and source prove themselves to each other, each by signing the other's
 * fresh challenge together with migration, epoch and purpose. A recorded conversation opens nothing.
 */
import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { CmtError } from '@cmt/contracts';
import type { Epoch, HostName, MigrationId, Route } from '@cmt/contracts';
import type { z } from 'zod';
import { verifySignature } from '../identity.ts';
import type { Identity } from '../identity.ts';
import { Channel, ChannelError } from './channel.ts';
import { within } from './limits.ts';
import { Hello, Open, Opened, PEER_LIMITS, PROTOCOL, STRANGER_LIMITS } from './messages.ts';
import type { Purpose } from './messages.ts';

/** Who asks for channels, and of whom. */
export interface Asker {
  readonly host: HostName;
  readonly identity: Identity;
  readonly migration: MigrationId;
  readonly epoch: Epoch;
  readonly route: Route;
}

/** A challenge that was answered, not yet judged. */
export interface Asked {
  readonly open: Open;
  /** Whether the owner of this key (SPKI, base64) answered it. */
  readonly isFrom: (publicKey: string) => boolean;
}

interface Limit {
  readonly ms: number;
  readonly signal?: AbortSignal;
}

/**
 * Source: opens a channel for a purpose on a fresh stream.
 * @throws CmtError what the target refuses with, or HOST_KEY_MISMATCH when the target cannot prove itself
 * @throws ChannelError when the other end is no receiver
 */
export async function openChannel(
  stream: Duplex,
  asker: Asker,
  purpose: Purpose,
  limit: Limit,
): Promise<Channel> {
  const channel = new Channel(stream, STRANGER_LIMITS);
  try {
    const hello = await expectMessage(channel, Hello, limit);
    if (hello.protocol !== PROTOCOL) throw new ChannelError(`the target speaks protocol ${hello.protocol}`);
    const { host, identity, migration, epoch } = asker;
    const open = { type: 'open' as const, migration, epoch, purpose, host, nonce: newNonce() };
    channel.send({ ...open, signature: identity.sign(statement('source', hello.nonce, open)) });
    channel.allow(PEER_LIMITS);
    const answer = await expectMessage(channel, Opened, limit);
    if (answer.type === 'failed')
      throw new CmtError(answer.failure.code, answer.failure.details, answer.failure.log);
    const proof = statement('target', hello.nonce, open);
    if (!verifySignature(asker.route.endpoint.publicKey, proof, answer.signature)) throw impostor(asker);
    return channel;
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

/** Target: challenges whoever connected and returns the answer. Nothing is believed yet. @throws ChannelError */
export async function challenge(
  channel: Channel,
  identity: Identity,
  limit: Limit,
): Promise<Asked & { accept: () => void }> {
  const nonce = newNonce();
  channel.send({ type: 'hello', protocol: PROTOCOL, nonce });
  const { signature, ...open } = await expectMessage(channel, Open, limit);
  return {
    open: { ...open, signature },
    isFrom: (publicKey) => verifySignature(publicKey, statement('source', nonce, open), signature),
    accept: () => {
      channel.allow(PEER_LIMITS);
      channel.send({ type: 'opened', signature: identity.sign(statement('target', nonce, open)) });
    },
  };
}

/** The next message of a channel, checked. @throws ChannelError when it is another one, or none comes in time */
export async function expectMessage<S extends z.ZodType>(
  channel: Channel,
  schema: S,
  { ms, signal }: Partial<Limit>,
): Promise<z.infer<S>> {
  const late = () => channel.fail(`nothing was heard for ${String(ms)} ms`);
  const frame = await within(channel.next(), { ms, signal, late });
  if (frame === null) throw channel.fail('the other side closed the connection');
  if (frame.kind !== 'message') throw channel.fail('the other side sent bytes instead of a message');
  return parseMessage(channel, schema, frame.body);
}

/** A message's body, checked. Anything unexpected ends the channel. @throws ChannelError */
export function parseMessage<S extends z.ZodType>(channel: Channel, schema: S, body: unknown): z.infer<S> {
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw channel.fail('the other side sent a message that is not expected here');
  return parsed.data;
}

function statement(role: 'source' | 'target', challenged: string, open: Omit<Open, 'signature'>): Buffer {
  const { migration, epoch, purpose, host, nonce } = open;
  const name = 'name' in purpose ? purpose.name : '';
  const parts = [
    'cmt channel',
    PROTOCOL,
    role,
    challenged,
    migration,
    epoch,
    purpose.kind,
    name,
    host,
    nonce,
  ];
  return Buffer.from(JSON.stringify(parts));
}

function impostor({ host, route }: Asker): CmtError {
  return new CmtError('HOST_KEY_MISMATCH', {
    host,
    peer: route.peer,
    address: route.endpoint.address,
    fingerprint: 'the receiver does not own the key that the registry names',
  });
}

const newNonce = (): string => randomBytes(32).toString('base64');
