/**
 * The worker's side of a carrier: starts the process on a connection, talks to it, and ends it.
 *
 * INVARIANTS
 * - The connection belongs to the carrier alone: this process closes its own descriptor at once.
 * - A carrier that is not needed any more is killed; it has nothing to tidy up.
 */
import { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Codec } from '@cmt/contracts';
import type { z } from 'zod';
import { startOn } from '../../process.ts';

/** Frees short-lived buffers when the program says so, and lets malloc use their memory again instead of giving it back. */
const NODE_FLAGS = ['--expose-gc', '--no-warnings'];
const MALLOC = {
  MALLOC_MMAP_THRESHOLD_: `${32 * 1024 * 1024}`,
  MALLOC_TRIM_THRESHOLD_: `${256 * 1024 * 1024}`,
};
/** Bytes kept of what a carrier says on its standard error. */
const LAST_WORDS = 2000;

export class Carrier<Word> {
  readonly #child: ReturnType<typeof startOn>;
  readonly #orders: Writable;
  #lastWords = '';
  /** Resolves when the process has ended, with what is known about why. Never rejects. */
  readonly ended: Promise<string>;

  constructor(
    [role, codec]: readonly [role: 'send' | 'receive' | 'pages', codec?: Codec | undefined],
    socket: Socket,
    words: z.ZodType<Word>,
    onWord: (word: Word) => void,
  ) {
    const options = { env: MALLOC, detached: role === 'pages' };
    const argv = [...NODE_FLAGS, PROGRAM, role, ...(codec === undefined ? [] : [codec])];
    this.#child = startOn(socket, process.execPath, argv, options);
    socket.destroy();
    this.#orders = this.#child.stdio[3] as Writable;
    this.#orders.on('error', () => undefined);
    this.#child.stderr?.on('data', (bytes: Buffer) => {
      this.#lastWords = (this.#lastWords + bytes.toString('utf8')).slice(-LAST_WORDS);
    });
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message));
      this.#child.once('close', (code, signal) =>
        resolve(this.#lastWords.trim() || `its process ended with ${signal ?? code ?? 'nothing'}`),
      );
    });
    const { stdout } = this.#child;
    if (stdout === null) return;
    createInterface({ input: stdout }).on('line', (line) => onWord(words.parse(JSON.parse(line))));
  }

  /** Of a carrier of pages: the socket that is CRIU's to be. */
  get local(): Socket {
    const local = this.#child.stdio[4];
    if (!(local instanceof Socket)) throw new Error('this carrier has no socket for CRIU');
    return local;
  }

  /** From now on it may outlive this process, which no longer waits for it. */
  leave(): void {
    this.#orders.end();
    this.#child.unref();
    for (const stream of [this.#child.stdout, this.#child.stderr])
      if (stream instanceof Socket) stream.unref();
  }

  order(order: object): void {
    if (this.#orders.writable) this.#orders.write(`${JSON.stringify(order)}\n`);
  }

  /** Idempotent. Resolves when it has ended. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

/** Beside the bundle that runs. Sources run the one that was built of them: compiling it takes longer than a handshake may. */
const PROGRAM = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../../../dist/image-carrier.js' : './image-carrier.js',
    import.meta.url,
  ),
);
