/**
 * The carrier that receives: opens what was sealed and writes it into a directory that its worker has made.
 *
 * INVARIANTS
 * - A file name is a plain name; the file is new, 0600, and opened without following links.
 * - Nothing is written that was not authenticated, and nothing beyond the quota, which counts what was unpacked.
 * - A frame unpacks to no more than a frame may hold, and nothing is unpacked that was not agreed upon (zstd.ts).
 * - `received` is said only after every file had the size and the digest that the source named.
 */
import { closeSync, constants, openSync, symlinkSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { hear, readAll, say } from './descriptors.ts';
import { ReceiverOrder, Sealed, type ReceiverWord } from './messages.ts';
import { HEADER_BYTES, MAX_SEALED, Opener, SealError, TagDigest, TAG_BYTES } from './sealed.ts';
import type { Zstd } from './zstd.ts';

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL;
/** Milliseconds between two words about progress. */
const WORD_MS = 50;
/** Bytes until what Node's collector has not seen is freed: buffers that are used again stay in the cache. */
const SLICE_BYTES = 4 * MAX_SEALED;

type Why = Extract<ReceiverWord, { type: 'failed' }>['why'];

class Refusal extends Error {
  constructor(
    readonly why: Why,
    message: string,
  ) {
    super(message);
  }
}

interface Incoming {
  readonly file: number;
  readonly name: string;
  readonly digest: TagDigest;
  size: number;
}

/** @param zstd null: nothing packed is taken */
export function runReceiver(zstd: Zstd | null): void {
  hear((line) => {
    const order = ReceiverOrder.parse(line);
    say({ type: 'ready' });
    // What the worker could still say is "end", and it says that with a signal: from here on nothing is heard.
    const reception = new Reception(order, zstd);
    try {
      reception.run();
    } catch (error) {
      say({ type: 'failed', ...reasonOf(error), file: reception.current });
    }
    process.exit();
  });
}

class Reception {
  readonly #opener: Opener;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  readonly #sealed = Buffer.allocUnsafeSlow(MAX_SEALED + TAG_BYTES);
  readonly #files = new Map<number, Incoming>();
  #open: { readonly file: number; readonly fd: number } | null = null;
  #done = 0;
  #bytes = 0;
  #saidAt = 0;
  /** Name of the file that bytes came for last. */
  current = '';

  constructor(
    private readonly order: ReceiverOrder,
    private readonly zstd: Zstd | null,
  ) {
    this.#opener = new Opener(Buffer.from(order.key, 'base64'));
  }

  run(): void {
    let slice = 0;
    for (;;) {
      if (!readAll(this.#header)) throw new Refusal('broken', 'the images ended early');
      const { kind, file, length } = this.#opener.header(this.#header);
      if (kind !== 'message') this.current = this.#known(file).name;
      const sealed = this.#sealed.subarray(0, length + TAG_BYTES);
      if (!readAll(sealed)) throw new Refusal('broken', 'the images ended early');
      const { plain: opened, tag } = this.#opener.open(this.#header, sealed);
      const plain = kind === 'zstd' ? this.#unpack(opened) : opened;
      if (kind !== 'message') this.#append(this.#known(file), plain, tag);
      else if (this.#obey(Sealed.parse(JSON.parse(plain.toString('utf8'))))) return;
      slice += plain.length;
      if (slice < SLICE_BYTES) continue;
      globalThis.gc?.({ type: 'minor' });
      slice = 0;
    }
  }

  /** @returns whether that was the end */
  #obey(message: Sealed): boolean {
    if (message.type === 'file') this.#begin(message);
    else if (message.type === 'complete') this.#complete(message);
    else {
      this.#end(message);
      return true;
    }
    return false;
  }

  #begin({ file, name }: Extract<Sealed, { type: 'file' }>): void {
    if (this.#files.has(file)) throw new Refusal('broken', 'the same file began twice');
    this.#files.set(file, { file, name, digest: new TagDigest(), size: 0 });
    this.#turnTo(file, openSync(join(this.order.directory, name), CREATE, 0o600));
  }

  #append(incoming: Incoming, plain: Buffer, tag: Buffer): void {
    this.#bytes += plain.length;
    if (this.#bytes > this.order.quota) throw new Refusal('quota', 'more than was reserved');
    const fd = this.#descriptorOf(incoming);
    for (let at = 0; at < plain.length;) at += writeSync(fd, plain, at);
    incoming.size += plain.length;
    incoming.digest.update(tag);
    const now = performance.now();
    if (now - this.#saidAt < WORD_MS) return;
    this.#saidAt = now;
    say({ type: 'arrived', bytes: this.#bytes });
  }

  #unpack(frame: Buffer): Buffer {
    if (this.zstd === null) throw new Refusal('broken', 'packed bytes, which were not agreed upon');
    const plain = this.zstd.unpack(frame);
    if (plain === null) throw new SealError('a packed frame that no carrier made');
    return plain;
  }

  #complete({ file, size, digest }: Extract<Sealed, { type: 'complete' }>): void {
    const incoming = this.#known(file);
    this.current = incoming.name;
    if (incoming.size !== size || incoming.digest.result() !== digest)
      throw new Refusal('corrupt', 'size or digest differ');
    this.#files.delete(file);
    this.#done += 1;
  }

  #end({ files, parent }: Extract<Sealed, { type: 'end' }>): void {
    if (this.#files.size > 0 || files !== this.#done)
      throw new Refusal('broken', 'the images are not complete');
    if (this.#open !== null) closeSync(this.#open.fd);
    if (parent !== null) symlinkSync(`../${parent}`, join(this.order.directory, 'parent'));
    say({ type: 'received', files, bytes: this.#bytes });
  }

  #known(file: number): Incoming {
    const incoming = this.#files.get(file);
    if (incoming === undefined) throw new Refusal('broken', 'bytes of a file that did not begin');
    return incoming;
  }

  /** One file at a time: a process tree may have more page files than a process may open. */
  #descriptorOf({ file, name }: Incoming): number {
    return this.#open?.file === file
      ? this.#open.fd
      : this.#turnTo(file, openSync(join(this.order.directory, name), APPEND));
  }

  #turnTo(file: number, fd: number): number {
    if (this.#open !== null) closeSync(this.#open.fd);
    this.#open = { file, fd };
    return fd;
  }
}

function reasonOf(error: unknown): { why: Why; reason: string } {
  const { message: reason, code } = error as NodeJS.ErrnoException;
  if (error instanceof Refusal) return { why: error.why, reason };
  if (error instanceof SealError) return { why: 'corrupt', reason };
  return { why: code === 'ENOSPC' ? 'space' : 'broken', reason };
}
