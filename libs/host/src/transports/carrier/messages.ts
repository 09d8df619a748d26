/** What is said to carriers and by them: a JSON object a line; and the messages between the files on their connection. */
import { z } from 'zod';
import { ImageFileName, ImagesName } from '../image-names.ts';

const Key = z.base64().length(24);
const Path = z.string().startsWith('/');
const Bytes = z.int().min(0);
/** Bytes per second, or null for as fast as it goes. */
export const Rate = z.int().positive().nullable();

/** Worker to the carrier that sends, on ORDERS. */
export const SenderOrder = z.discriminatedUnion('type', [
  z.object({ type: z.literal('begin'), directory: Path, key: Key, rate: Rate }),
  /** Whoever writes the images has ended well. */
  z.object({ type: z.literal('finish') }),
  z.object({ type: z.literal('rate'), rate: Rate }),
]);
export type SenderOrder = z.infer<typeof SenderOrder>;

/** The carrier that sends, to its worker. */
export const SenderWord = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  /** Bytes of images handed to the connection so far, packed or not; also said when nothing was to be done. */
  z.object({ type: z.literal('sent'), bytes: Bytes }),
  z.object({ type: z.literal('done'), bytes: Bytes, imageBytes: Bytes, sendMs: z.number() }),
  z.object({ type: z.literal('failed'), reason: z.string() }),
]);
export type SenderWord = z.infer<typeof SenderWord>;

/** Worker to the carrier that receives. `quota`: bytes that it may write. */
export const ReceiverOrder = z.object({ type: z.literal('begin'), directory: Path, key: Key, quota: Bytes });
export type ReceiverOrder = z.infer<typeof ReceiverOrder>;

/** The carrier that receives, to its worker. */
export const ReceiverWord = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ready') }),
  z.object({ type: z.literal('arrived'), bytes: Bytes }),
  z.object({ type: z.literal('received'), files: z.int().min(0), bytes: Bytes }),
  z.object({
    type: z.literal('failed'),
    /** `corrupt`: of `file`; `quota`: more than was reserved; `space`: the file system is full. */
    why: z.enum(['corrupt', 'quota', 'space', 'broken']),
    file: z.string(),
    reason: z.string(),
  }),
]);
export type ReceiverWord = z.infer<typeof ReceiverWord>;

/** Worker to a carrier of pages. */
export const PagesOrder = z.discriminatedUnion('type', [
  /** `silenceMs`: without a sign of life from the other carrier the connection counts as dead. */
  z.object({
    type: z.literal('begin'),
    side: z.enum(['source', 'target']),
    key: Key,
    /** Holds the rate in JSON, and another one when that is to change; null: as fast as it goes. */
    rateFile: Path.nullable(),
    silenceMs: z.int().positive(),
  }),
  /** CRIU has the other end of the local socket: the worker may go. */
  z.object({ type: z.literal('keep') }),
]);
export type PagesOrder = z.infer<typeof PagesOrder>;

/** A carrier of pages, to its worker. */
export const PagesWord = z.object({ type: z.literal('ready') });
export type PagesWord = z.infer<typeof PagesWord>;

/** Between two carriers of pages, beside the bytes. */
export const SealedPages = z.discriminatedUnion('type', [
  z.object({ type: z.literal('beat') }),
  /** CRIU has closed its end; whatever it said before has been sent. */
  z.object({ type: z.literal('end') }),
]);
export type SealedPages = z.infer<typeof SealedPages>;

const FileIndex = z.int().min(0).max(0xffffffff);

/** On the connection, between the bytes of the files. */
export const Sealed = z.discriminatedUnion('type', [
  z.object({ type: z.literal('file'), file: FileIndex, name: ImageFileName }),
  z.object({ type: z.literal('complete'), file: FileIndex, size: Bytes, digest: z.base64().length(44) }),
  z.object({ type: z.literal('end'), files: z.int().min(0), parent: ImagesName.nullable() }),
]);
export type Sealed = z.infer<typeof Sealed>;
