/**
 * Target: one directory of images, received into a fresh private directory and verified file by file.
 *
 * INVARIANTS
 * - A file name is a plain name; the file is new, 0600, and opened without following links.
 * - In memory are at most SMALL bytes of one small file, or BATCH_BYTES of a large one while the batch before is written.
 * - `received` is said only after every file had the size and digest that the source named.
 */
import { closeSync, constants, openSync, writevSync } from 'node:fs';
import { mkdir, open, readdir, rmdir, symlink, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import type { Channel } from './channel.ts';
import { FileDigest } from './digest.ts';
import { errnoOf } from './errno.ts';
import type { Frame } from './frames.ts';
import { parseMessage } from './handshake.ts';
import { ImagesToTarget } from './messages.ts';
import type { TargetSession } from './session.ts';

const BATCH_BYTES = 1024 * 1024;
/** Files up to this size are written at once when they are complete: trips to the thread pool would cost ten times as much. */
const SMALL = 64 * 1024;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL;

interface Incoming {
  readonly file: number;
  readonly path: string;
  readonly name: string;
  readonly digest: FileDigest;
  size: number;
  /** Whether it is on disk, at least in part. */
  created: boolean;
}

/** The file that bytes arrived for last: held in memory while it is small, else being written. */
interface Current {
  readonly incoming: Incoming;
  readonly held: Buffer[];
  writer: BatchWriter | null;
}

type Message<T extends ImagesToTarget['type']> = Extract<ImagesToTarget, { type: T }>;

/** An empty private directory of that name; what an earlier try left is gone. Only plain files are ever deleted. */
export async function freshDirectory(path: string): Promise<void> {
  const left = await readdir(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  });
  if (left !== null) {
    await Promise.all(left.map((name) => unlink(join(path, name))));
    await rmdir(path);
  }
  await mkdir(path, { mode: 0o700 });
}

/** Receives a directory to its end. @param first the frame that was read already @throws CmtError TRANSFER_CORRUPT, TARGET_FULL @throws ChannelError */
export async function receiveImages(
  channel: Channel,
  session: TargetSession,
  name: string,
  host: string,
  first: Frame | null,
): Promise<{ files: number; bytes: number }> {
  const reception = new Reception(channel, session, name, host);
  try {
    return await reception.run(first);
  } finally {
    await reception.close();
  }
}

class Reception {
  readonly #files = new Map<number, Incoming>();
  readonly #directory: string;
  #current: Current | null = null;
  #done = 0;
  #bytes = 0;

  constructor(
    private readonly channel: Channel,
    private readonly session: TargetSession,
    private readonly name: string,
    private readonly host: string,
  ) {
    this.#directory = join(session.expectation.images, name);
  }

  async run(first: Frame | null): Promise<{ files: number; bytes: number }> {
    for (let frame = first; ; frame = await this.channel.next()) {
      if (frame === null) throw this.channel.fail('the images ended early');
      if (frame.kind === 'bytes') {
        await this.#append(frame.file, frame.bytes);
        continue;
      }
      const message = parseMessage(this.channel, ImagesToTarget, frame.body);
      if (message.type === 'file') this.#begin(message);
      else if (message.type === 'complete') await this.#complete(message);
      else if (message.type === 'carry') throw this.channel.fail('the source began anew');
      else return await this.#end(message);
    }
  }

  /** Nothing is open any more. */
  async close(): Promise<void> {
    const writer = this.#current?.writer;
    this.#current = null;
    await writer?.close();
  }

  #begin({ file, name, key }: Message<'file'>): void {
    if (this.#files.has(file)) throw this.channel.fail('the same file began twice');
    const path = join(this.#directory, name);
    const digest = new FileDigest(key, name);
    this.#files.set(file, { file, path, name, digest, size: 0, created: false });
  }

  async #append(file: number, bytes: Buffer): Promise<void> {
    const incoming = this.#known(file);
    this.session.imagesGrow(this.name, bytes.length);
    incoming.size += bytes.length;
    this.#bytes += bytes.length;
    incoming.digest.update(bytes);
    const current = await this.#turnTo(incoming);
    if (current.writer !== null) return current.writer.write(bytes);
    current.held.push(bytes);
    if (incoming.created || incoming.size > SMALL) await spill(current);
  }

  async #complete({ file, size, digest }: Message<'complete'>): Promise<void> {
    const incoming = this.#known(file);
    if (incoming.size !== size || incoming.digest.result() !== digest)
      throw new CmtError('TRANSFER_CORRUPT', { host: this.host, file: incoming.name });
    const held = this.#current?.incoming === incoming ? this.#current.held : [];
    if (!incoming.created) writeWhole(incoming.path, held);
    if (this.#current?.incoming === incoming) await this.close();
    this.#files.delete(file);
    this.#done += 1;
  }

  async #end({ files, parent }: Message<'end'>): Promise<{ files: number; bytes: number }> {
    if (this.#files.size > 0 || files !== this.#done) throw this.channel.fail('the images are not complete');
    if (parent !== null) await symlink(`../${parent}`, join(this.#directory, 'parent'));
    return { files, bytes: this.#bytes };
  }

  #known(file: number): Incoming {
    const incoming = this.#files.get(file);
    if (incoming === undefined)
      throw this.channel.fail('the other side sent bytes of a file that did not begin');
    return incoming;
  }

  /** One file at a time: a process tree may have more page files than a process may open or memory should hold. */
  async #turnTo(incoming: Incoming): Promise<Current> {
    if (this.#current?.incoming === incoming) return this.#current;
    if (this.#current !== null && this.#current.held.length > 0) await spill(this.#current);
    await this.close();
    this.#current = { incoming, held: [], writer: null };
    return this.#current;
  }
}

/** From here on the file is written as it arrives. */
async function spill(current: Current): Promise<void> {
  const { incoming, held } = current;
  current.writer = new BatchWriter(await open(incoming.path, incoming.created ? APPEND : CREATE, 0o600));
  incoming.created = true;
  for (const bytes of held.splice(0)) await current.writer.write(bytes);
}

function writeWhole(path: string, pieces: readonly Buffer[]): void {
  const file = openSync(path, CREATE, 0o600);
  try {
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const written = size > 0 ? writevSync(file, pieces) : 0;
    if (written !== size) throw new Error(`only ${written} of ${size} bytes could be written`);
  } finally {
    closeSync(file);
  }
}

/** Appends to a file: while one batch is written the next gathers. */
class BatchWriter {
  #gathered: Buffer[] = [];
  #bytes = 0;
  #writing: Promise<void> | null = null;
  #error: Error | null = null;

  constructor(private readonly handle: FileHandle) {}

  async write(bytes: Buffer): Promise<void> {
    this.#gathered.push(bytes);
    this.#bytes += bytes.length;
    this.#writing ??= this.#flush();
    while (this.#bytes > BATCH_BYTES) await this.#writing;
    if (this.#error !== null) throw this.#error;
  }

  /** Everything is in the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.handle.close();
    if (this.#error !== null) throw this.#error;
  }

  async #flush(): Promise<void> {
    try {
      while (this.#bytes > 0) {
        const batch = this.#gathered;
        const bytes = this.#bytes;
        this.#gathered = [];
        this.#bytes = 0;
        const { bytesWritten } = await this.handle.writev(batch);
        if (bytesWritten !== bytes)
          throw new Error(`only ${bytesWritten} of ${bytes} bytes could be written`);
      }
    } catch (error) {
      this.#error = error as Error;
      this.#gathered = [];
      this.#bytes = 0;
    } finally {
      this.#writing = null;
    }
  }
}
