/** The messages of a channel, in the order of a conversation. Everything from the other side is checked against these. */
import { Codec, Epoch, Failure, HostName, MigrationId } from '@cmt/contracts';
import { z } from 'zod';
import { CarriageName, ImageFileName, ImagesName } from './image-names.ts';

export const PROTOCOL = 2;

/** Bytes of JSON accepted before the other side has proved who it is, and after. */
export const STRANGER_LIMITS = { messageBytes: 4096, chunks: false };
export const PEER_LIMITS = { messageBytes: 64 * 1024, chunks: false };

const Nonce = z.base64().length(44);
const Signature = z.base64().max(128);

export const Purpose = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('control') }),
  z.object({ kind: z.literal('images'), name: ImagesName }),
  /** Nothing but the bytes of such images, or of pages, on a connection of their own that two carriers take over. */
  z.object({ kind: z.literal('carriage'), name: CarriageName }),
  /** Asks for a connection on which pages follow the container while it runs. */
  z.object({ kind: z.literal('pages') }),
  z.object({ kind: z.literal('files') }),
  z.object({ kind: z.literal('withdraw') }),
]);
export type Purpose = z.infer<typeof Purpose>;

/** Target, first: a challenge. */
export const Hello = z.object({ type: z.literal('hello'), protocol: z.int(), nonce: Nonce });

/** Source: which channel this shall be, and the proof that it may. */
export const Open = z.object({
  type: z.literal('open'),
  migration: MigrationId,
  epoch: Epoch,
  purpose: Purpose,
  host: HostName,
  nonce: Nonce,
  signature: Signature,
});
export type Open = z.infer<typeof Open>;

const Failed = z.object({ type: z.literal('failed'), failure: Failure });

/** Target: the channel is open, with the proof that it is the target; or why not. */
export const Opened = z.discriminatedUnion('type', [
  z.object({ type: z.literal('opened'), signature: Signature }),
  Failed,
]);

/** Control channel, source to target. */
export const ControlToTarget = z.discriminatedUnion('type', [
  z.object({ type: z.literal('echo'), sentAt: z.number() }),
  z.object({ type: z.literal('go') }),
  z.object({ type: z.literal('abandon'), reason: z.string().max(1024) }),
]);
export type ControlToTarget = z.infer<typeof ControlToTarget>;

/** Control channel, target to source. Times are milliseconds since 1970 on the sender's clock. */
export const ControlToSource = z.discriminatedUnion('type', [
  z.object({ type: z.literal('echo'), sentAt: z.number(), at: z.number() }),
  z.object({ type: z.literal('armed') }),
  z.object({ type: z.literal('disarmed') }),
  z.object({ type: z.literal('going') }),
  Failed,
]);
export type ControlToSource = z.infer<typeof ControlToSource>;

/** Withdraw channel, target to source: what became of the epoch. UNKNOWN: it may have been decided, and nobody here can say. */
export const Withdrawn = z.discriminatedUnion('type', [
  z.object({ type: z.literal('withdrawn'), verdict: z.enum(['ABORT', 'COMMIT', 'UNKNOWN']) }),
  Failed,
]);

const FileIndex = z.int().min(0).max(0xffffffff);

/** Images channel, source to target, between the bytes of the files. */
export const ImagesToTarget = z.discriminatedUnion('type', [
  /** First, if at all: the source would open a connection of its own for the bytes, and pack them so. A file that begins here takes it back. */
  z.object({ type: z.literal('carry'), compress: Codec.optional() }),
  /** A file begins. `key` is the key of its digest, fresh for every file. */
  z.object({ type: z.literal('file'), file: FileIndex, name: ImageFileName, key: z.base64().length(24) }),
  /** A file is complete. */
  z.object({
    type: z.literal('complete'),
    file: FileIndex,
    size: z.int().min(0),
    digest: z.base64().length(24),
  }),
  /** The directory is complete; `parent` is the round that CRIU's `parent` link names. */
  z.object({ type: z.literal('end'), files: z.int().min(0), parent: ImagesName.nullable() }),
]);
export type ImagesToTarget = z.infer<typeof ImagesToTarget>;

/** Images channel, target to source; of a pages channel the first two and the last. */
export const ImagesToSource = z.discriminatedUnion('type', [
  /** Where: at the endpoint's port, or another; and the key of what is sealed there. Without a key, nowhere. */
  z.object({
    type: z.literal('carriage'),
    port: z.int().min(1).max(65535).optional(),
    key: z.base64().length(24).optional(),
  }),
  /** The target's carrier has the connection: begin. */
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('received'), files: z.int(), bytes: z.int() }),
  Failed,
]);
