/**
 * The carrier that sends: one directory of images, read while CRIU still writes it, sealed and written to the connection.
 *
 * INVARIANTS
 * - Nothing is complete before `finish`: a file's size and digest are sent only then.
 * - Between two slices orders are heard; a slice is short unless the other side takes nothing.
 * - What is gathered leaves before this process waits for anything.
 */
import { closeSync, constants, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { growing, ImageFileName, parentRound } from '../image-names.ts';
import { Pacer } from '../pacer.ts';
import { hear, say, writeAll } from './descriptors.ts';
import { SenderOrder, type Sealed } from './messages.ts';
import { Packer } from './packer.ts';
import { MAX_SEALED, Sealer, TagDigest } from './sealed.ts';
import type { Zstd } from './zstd.ts';

/** Milliseconds between two looks at files that were caught up with. */
const POLL_MS = 2;
/** Milliseconds between two words about progress. */
const WORD_MS = 50;
/**
 * Bytes sealed at once. With 1 MiB, more than the kernel keeps of a near connection, this end waits while the other one opens and writes, and
 * the other one while this end reads and seals: of 1 GiB, in turn with others, 0.42 to 0.58 GB/s instead of 0.59 to 0.89.
 */
const FRAME_BYTES = 256 * 1024;
/** Bytes until orders are heard, and what Node's collector has not seen is freed: buffers that are used again stay in the cache. */
const SLICE_BYTES = 4 * MAX_SEALED;
/** Bytes and frames that are gathered for one write: most images are a few hundred bytes. */
const GATHERED_BYTES = 64 * 1024;
const GATHERED_FRAMES = 64;

interface Outgoing {
  readonly file: number;
  readonly digest: TagDigest;
  readonly packer: Packer | null;
  offset: number;
}

/** @param zstd null: files go as they are */
export function runSender(zstd: Zstd | null): void {
  let sending: Sending | null = null;
  hear((line) => {
    const order = SenderOrder.parse(line);
    if (order.type === 'begin') {
      sending = new Sending(
        order.directory,
        new Sealer(Buffer.from(order.key, 'base64')),
        new Pacer(order.rate),
        zstd,
      );
      void sending.run();
    } else if (order.type === 'finish') sending?.finish();
    else if (sending !== null) sending.pacer.rate = order.rate;
  });
  say({ type: 'ready' });
}

class Sending {
  readonly #files = new Map<string, Outgoing>();
  readonly #buffer = Buffer.allocUnsafeSlow(MAX_SEALED);
  #finishing = new AbortController();
  #slice = 0;
  #gathered: (readonly Buffer[])[] = [];
  #gatheredBytes = 0;
  #bytes = 0;
  #imageBytes = 0;
  #startedAt: number | null = null;
  #idleMs = 0;
  #saidAt = 0;

  constructor(
    private readonly directory: string,
    private readonly sealer: Sealer,
    readonly pacer: Pacer,
    private readonly zstd: Zstd | null,
  ) {}

  finish(): void {
    this.#finishing.abort();
  }

  async run(): Promise<void> {
    try {
      await this.#follow();
      await this.#sendRest();
      const sendMs = performance.now() - (this.#startedAt ?? performance.now()) - this.#idleMs;
      say({ type: 'done', bytes: this.#bytes, imageBytes: this.#imageBytes, sendMs: Math.max(0, sendMs) });
    } catch (error) {
      say({ type: 'failed', reason: (error as Error).message });
    }
  }

  /** Until the writer has ended: page files as far as they have grown. */
  async #follow(): Promise<void> {
    const { signal } = this.#finishing;
    while (!signal.aborted) {
      const before = this.#bytes;
      for (const name of growing(readdirSync(this.directory))) await this.#catchUp(name);
      this.#flush();
      if (this.#bytes !== before) continue;
      const since = performance.now();
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
      if (this.#startedAt !== null) this.#idleMs += performance.now() - since;
      this.#progress();
    }
  }

  /** The writer has ended: what is missing of every file, with sizes and digests. */
  async #sendRest(): Promise<void> {
    let parent: string | null = null;
    let files = 0;
    for (const entry of readdirSync(this.directory, { withFileTypes: true })) {
      const path = join(this.directory, entry.name);
      if (entry.isSymbolicLink() && entry.name === 'parent') {
        parent = parentRound(readlinkSync(path));
        if (parent === null) throw new Error(`${path} leads to ${readlinkSync(path)}`);
        continue;
      }
      if (!entry.isFile() || !ImageFileName.safeParse(entry.name).success)
        throw new Error(`${path} is no image`);
      const { file, offset, digest } = await this.#catchUp(entry.name);
      this.#tell({ type: 'complete', file, size: offset, digest: digest.result() });
      files += 1;
    }
    this.#tell({ type: 'end', files, parent });
    this.#flush();
  }

  /** Sends a file from where it was left to its present end. */
  async #catchUp(name: string): Promise<Outgoing> {
    const path = join(this.directory, name);
    const outgoing = this.#files.get(name) ?? this.#begin(name);
    if (lstatSync(path).size === outgoing.offset) return outgoing;
    const from = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      for (;;) {
        const most = this.pacer.piece(FRAME_BYTES);
        const count = readSync(from, this.#buffer, 0, most, outgoing.offset);
        if (count === 0) return outgoing;
        this.#startedAt ??= performance.now();
        const plain = this.#buffer.subarray(0, count);
        const packed = outgoing.packer?.pack(plain) ?? null;
        const wait = this.pacer.delay((packed ?? plain).length, performance.now());
        if (wait > 0) await this.#wait(wait);
        this.#write(outgoing, plain, packed);
        this.#slice += count;
        if (this.#slice >= SLICE_BYTES) await this.#breathe();
      }
    } finally {
      closeSync(from);
    }
  }

  #begin(name: string): Outgoing {
    const packer = this.zstd === null ? null : new Packer(this.zstd);
    const outgoing = { file: this.#files.size, digest: new TagDigest(), packer, offset: 0 };
    this.#files.set(name, outgoing);
    this.#tell({ type: 'file', file: outgoing.file, name });
    return outgoing;
  }

  #write(outgoing: Outgoing, plain: Buffer, packed: Buffer | null): void {
    const bytes = packed ?? plain;
    const frame = this.sealer.seal(packed === null ? 'bytes' : 'zstd', outgoing.file, bytes);
    this.#put(frame);
    outgoing.digest.update(frame[2]);
    outgoing.offset += plain.length;
    this.#bytes += bytes.length;
    this.#imageBytes += plain.length;
    this.#progress();
  }

  #tell(message: Sealed): void {
    this.#put(this.sealer.seal('message', 0, Buffer.from(JSON.stringify(message))));
  }

  #put(frame: readonly Buffer[]): void {
    this.#gathered.push(frame);
    this.#gatheredBytes += frame.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#gatheredBytes >= GATHERED_BYTES || this.#gathered.length >= GATHERED_FRAMES) this.#flush();
  }

  #flush(): void {
    if (this.#gathered.length > 0) writeAll(this.#gathered.flat());
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  async #breathe(): Promise<void> {
    this.#slice = 0;
    globalThis.gc?.({ type: 'minor' });
    await setImmediate();
  }

  /** Says that it lives while it waits, also at a very low rate. */
  async #wait(ms: number): Promise<void> {
    this.#flush();
    await sleep(ms);
    this.#progress();
  }

  #progress(): void {
    const now = performance.now();
    if (now - this.#saidAt < WORD_MS) return;
    this.#saidAt = now;
    say({ type: 'sent', bytes: this.#bytes });
  }
}
