/** Programs of test/support that run inside a lab host and answer one JSON array `[method, …arguments]` a line. */
import { rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { start } from '@cmt/host';
import { labExecArgv, type Lab } from '@cmt/lab';
import { bundle } from './bundle.ts';
import { pathInHost } from '../../apps/lab/src/demo/container.ts';

export interface Answer<T> {
  readonly value: T;
  /** Milliseconds that the call took inside the host. */
  readonly ms: number;
}

/** A call that threw; `code` is the catalogue's. */
export class CallFailed extends Error {
  constructor(
    message: string,
    readonly code: string | undefined,
  ) {
    super(message);
    this.name = 'CallFailed';
  }
}

/** One such program, held open like a worker. */
export class InHost {
  readonly #file: string;
  readonly #process;
  readonly #lines: AsyncIterator<string>;

  /** @param file seen from outside */
  private constructor([program = '', ...args]: readonly string[], file: string) {
    this.#file = file;
    this.#process = start(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#process.stdout === null) throw new Error(`${file} has no output`);
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** @param entry file name in test/support */
  static async start(lab: Lab, host: string, entry: string): Promise<InHost> {
    const file = `/run/${entry.replace(/\.ts$/, '.mjs')}`;
    await bundle(join(import.meta.dirname, entry), pathInHost(lab, host, file));
    return new InHost(labExecArgv(lab, host, ['node', file]), pathInHost(lab, host, file));
  }

  /** @throws {CallFailed} */
  async call<T = unknown>(...words: readonly unknown[]): Promise<Answer<T>> {
    this.#process.stdin?.write(`${JSON.stringify(words)}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('the program has ended');
    const answer = JSON.parse(line.value) as Answer<T> & { error?: { message: string; code?: string } };
    if (answer.error) throw new CallFailed(answer.error.message, answer.error.code);
    return answer;
  }

  async end(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process;
    await rm(this.#file);
  }
}
