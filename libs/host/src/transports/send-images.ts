/**
 * Source: one directory of images, sent while CRIU still writes it. Page files only ever grow, so they are followed;
 * everything else is small and is sent when the writer has ended.
 *
 * INVARIANTS
 * - A buffer is written to again only after the channel has taken what was in it: memory is POOL × CHUNK, whatever the size.
 * - Nothing is complete before `finish`: a file's size and digest are sent only then.
 */
import { constants, readFileSync, statSync } from 'node:fs';
import { open, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CmtError } from '@cmt/contracts';
import type { Channel } from './channel.ts';
import { FileDigest, newDigestKey } from './digest.ts';
import { encodeMessage, HEADER_BYTES, writeChunkHeader } from './frames.ts';
import { expectMessage } from './handshake.ts';
import { abortFailure, within } from './limits.ts';
import type { Bandwidth } from './bandwidth.ts';
import { growing, ImageFileName, parentRound } from './image-names.ts';
import { ImagesToSource } from './messages.ts';
import type { ImagesToTarget } from './messages.ts';
import { Pacer } from './pacer.ts';
import type { ImageSending, ImagesSent } from './transport.ts';

const CHUNK = 512 * 1024;
const POOL = 3;
/**
 * Files up to this size are read in one go and at once: CRIU has just written them, they are in memory, and fifty trips to the
 * thread pool would be felt in the blackout.
 */
const SMALL = 64 * 1024;
/** Milliseconds between two looks at files that were caught up with. */
const POLL_MS = 3;

export interface SendingOptions {
  readonly channel: Channel;
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly bandwidth: Bandwidth;
  readonly stallMs: number;
  /** Told about bytes that left. */
  readonly onBytes: (count: number) => void;
  /** Turns what went wrong into what `finish` rejects with. */
  readonly explain: (error: unknown) => unknown;
}

/** Starts at once; failures are kept for `finish`. */
export function sendImages(options: SendingOptions): ImageSending {
  const sender = new ImageSender(options);
  const stop = () => sender.stop(abortFailure(options.signal));
  if (options.signal.aborted) stop();
  else options.signal.addEventListener('abort', stop, { once: true });
  const result = sender
    .run()
    .catch((error: unknown) => {
      throw options.explain(error);
    })
    .finally(() => options.signal.removeEventListener('abort', stop));
  result.catch(() => undefined);
  return {
    finish: () => {
      sender.finish();
      return result;
    },
    cancel: () => sender.stop(new CmtError('CANCELLED', { reason: 'the dump failed' })),
    get bytesSent() {
      return sender.bytesSent;
    },
  };
}

interface Outgoing {
  readonly file: number;
  readonly digest: FileDigest;
  offset: number;
}

class ImageSender {
  readonly #options: SendingOptions;
  readonly #files = new Map<string, Outgoing>();
  readonly #pool = Array.from({ length: POOL }, () => ({
    bytes: Buffer.allocUnsafeSlow(HEADER_BYTES + CHUNK),
    taken: Promise.resolve(),
  }));
  readonly #pacer = new Pacer(null);
  #turn = 0;
  #finishing = false;
  #stopped: Error | null = null;
  #wake: (() => void) | null = null;
  #startedAt: number | null = null;
  #idleMs = 0;
  bytesSent = 0;

  constructor(options: SendingOptions) {
    this.#options = options;
  }

  finish(): void {
    this.#finishing = true;
    this.#wake?.();
  }

  stop(error: Error): void {
    this.#stopped ??= error;
    this.#options.channel.destroy();
    this.#wake?.();
  }

  async run(): Promise<ImagesSent> {
    const { channel } = this.#options;
    const reply = this.#reply(channel);
    reply.catch((error: unknown) => this.stop(error as Error));
    try {
      await this.#follow();
      await this.#sendRest();
      await within(reply, {
        ms: this.#options.stallMs,
        late: () => channel.fail('the target does not answer'),
      });
    } catch (error) {
      throw await this.#cause(error, reply);
    } finally {
      channel.destroy();
    }
    const sendMs = performance.now() - (this.#startedAt ?? performance.now()) - this.#idleMs;
    return { bytesSent: this.bytesSent, imageBytes: this.bytesSent, sendMs: Math.max(0, sendMs) };
  }

  /** A refusal by the target explains a broken channel; an abort explains everything. */
  async #cause(error: unknown, reply: Promise<void>): Promise<unknown> {
    const { signal } = this.#options;
    if (signal.aborted) return abortFailure(signal);
    const refusal = await within(reply, { ms: 500 }).catch((why: unknown) => why);
    return refusal instanceof CmtError ? refusal : (this.#stopped ?? error);
  }

  async #reply(channel: Channel): Promise<void> {
    const answer = await expectMessage(channel, ImagesToSource, {});
    if (answer.type === 'failed') throw new CmtError(answer.failure.code, answer.failure.details);
    if (answer.type !== 'received')
      throw channel.fail('the other side sent a message that is not expected here');
  }

  /** Until the writer has ended: page files as far as they have grown. */
  async #follow(): Promise<void> {
    while (!this.#finishing) {
      this.#check();
      const before = this.bytesSent;
      for (const name of growing(await readdir(this.#options.directory))) await this.#catchUp(name);
      if (this.bytesSent === before) await this.#pause();
    }
  }

  /** The writer has ended: what is missing of every file, with sizes and digests. */
  async #sendRest(): Promise<void> {
    const { directory } = this.#options;
    let parent: string | null = null;
    let small: Buffer[] = [];
    let files = 0;
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      this.#check();
      if (entry.isSymbolicLink() && entry.name === 'parent') {
        parent = await this.#parent();
        continue;
      }
      if (!entry.isFile() || !ImageFileName.safeParse(entry.name).success)
        throw new Error(`${join(directory, entry.name)} is no image`);
      files += 1;
      const whole = this.#whole(entry.name);
      if (whole !== null) small.push(whole);
      else await this.#complete(entry.name);
      if (small.length >= 64) {
        await this.#write(Buffer.concat(small));
        small = [];
      }
    }
    await Promise.all(this.#pool.map(({ taken }) => taken));
    const end = encodeMessage({ type: 'end', files, parent } satisfies ImagesToTarget);
    await this.#write(Buffer.concat([...small, end]));
  }

  async #parent(): Promise<string> {
    const path = join(this.#options.directory, 'parent');
    const target = await readlink(path);
    const round = parentRound(target);
    if (round === null) throw new Error(`${path} leads to ${target}`);
    return round;
  }

  /** A small file that was not begun: announced, sent and completed in one buffer. Null for all others. */
  #whole(name: string): Buffer | null {
    if (this.#files.has(name)) return null;
    const path = join(this.#options.directory, name);
    if (statSync(path).size > SMALL) return null;
    const bytes = readFileSync(path);
    const { outgoing, announcement } = this.#announce(name);
    outgoing.digest.update(bytes);
    this.#count(bytes.length);
    const head = Buffer.alloc(bytes.length > 0 ? HEADER_BYTES : 0);
    if (bytes.length > 0) writeChunkHeader(head, outgoing.file, bytes.length);
    return Buffer.concat([announcement, head, bytes, completion(outgoing, bytes.length)]);
  }

  async #complete(name: string): Promise<void> {
    const outgoing = await this.#catchUp(name);
    await this.#write(completion(outgoing, outgoing.offset));
  }

  /** Sends a file from where it was left to its present end. */
  async #catchUp(name: string): Promise<Outgoing> {
    const known = this.#files.get(name);
    const path = join(this.#options.directory, name);
    if (known !== undefined && (await stat(path)).size === known.offset) return known;
    const outgoing = known ?? (await this.#begin(name));
    const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      for (;;) {
        this.#check();
        const slot = this.#pool[this.#turn++ % POOL];
        if (slot === undefined) throw new Error('the pool is empty');
        await slot.taken;
        this.#pacer.rate = this.#options.bandwidth.rate;
        const most = this.#pacer.piece(CHUNK);
        const { bytesRead } = await handle.read(slot.bytes, HEADER_BYTES, most, outgoing.offset);
        if (bytesRead === 0) return outgoing;
        const wait = this.#pacer.delay(bytesRead, performance.now());
        if (wait > 0) await sleep(wait);
        const frame = slot.bytes.subarray(0, HEADER_BYTES + bytesRead);
        writeChunkHeader(frame, outgoing.file, bytesRead);
        outgoing.digest.update(frame.subarray(HEADER_BYTES));
        outgoing.offset += bytesRead;
        this.#count(bytesRead);
        slot.taken = this.#write(frame);
        slot.taken.catch(() => undefined);
      }
    } finally {
      await handle.close();
    }
  }

  async #begin(name: string): Promise<Outgoing> {
    const { outgoing, announcement } = this.#announce(name);
    await this.#write(announcement);
    return outgoing;
  }

  #announce(name: string): { outgoing: Outgoing; announcement: Buffer } {
    const key = newDigestKey();
    const outgoing = { file: this.#files.size, digest: new FileDigest(key, name), offset: 0 };
    this.#files.set(name, outgoing);
    const message = { type: 'file', file: outgoing.file, name, key } satisfies ImagesToTarget;
    return { outgoing, announcement: encodeMessage(message) };
  }

  #write(bytes: Buffer): Promise<void> {
    const { channel } = this.#options;
    return within(channel.write(bytes), this.#limit(channel));
  }

  #limit(channel: Channel) {
    const { stallMs: ms } = this.#options;
    return { ms, late: () => channel.fail(`the target took no byte for ${ms} ms`) };
  }

  #count(bytes: number): void {
    this.#startedAt ??= performance.now();
    this.bytesSent += bytes;
    this.#options.onBytes(bytes);
  }

  async #pause(): Promise<void> {
    const since = performance.now();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, POLL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#finishing || this.#stopped !== null) this.#wake();
    });
    this.#wake = null;
    if (this.#startedAt !== null) this.#idleMs += performance.now() - since;
  }

  #check(): void {
    if (this.#stopped !== null) throw this.#stopped;
  }
}

const completion = ({ file, digest }: Outgoing, size: number): Buffer =>
  encodeMessage({ type: 'complete', file, size, digest: digest.result() } satisfies ImagesToTarget);
