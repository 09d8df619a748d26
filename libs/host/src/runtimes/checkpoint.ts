/**
 * The process of one `runc checkpoint`, and how it ends.
 *
 * INVARIANT: CRIU is not killed while it dumps: killed, it leaves a process that it is working on to die. A dump is stopped by taking
 * its images away; one that has not begun has nothing in its hands and may be killed.
 */
import type { StartGate } from '../criu/start-gate.ts';
import { removeTree } from '../mounts.ts';
import { spareFromOom, startTimeOf } from '../proc.ts';
import { start } from '../process.ts';
import { endGently, endOperation } from './operations.ts';

/** How long a dump that was stopped may go on before CRIU is killed: until the end of the file it writes. Milliseconds. */
export const STOP_LIMIT_MS = 60_000;
/** How long one that has not begun may take to end by itself. */
const LEAVE_LIMIT_MS = 2_000;

export class Checkpoint {
  readonly #images: string;
  readonly #pid: number | undefined;
  /** Its exit code, null when a signal ended it or it could not be started. Never rejects. */
  readonly ended: Promise<number | null>;

  constructor(argv: readonly string[], env: Readonly<Record<string, string>>, images: string) {
    const [program = '', ...args] = argv;
    const child = start(program, args, { stdio: 'ignore', env });
    this.#images = images;
    this.#pid = child.pid;
    if (child.pid !== undefined) void spareFromOom(child.pid);
    this.ended = child.then(({ exitCode }) => exitCode ?? null);
  }

  /** Its exit code; stopped when the signal aborts: CRIU fails at the next file it makes and lets go of the container in good order. */
  async endedOrStopped(signal: AbortSignal): Promise<number | null> {
    const who = await this.#who();
    const stop = (): void => {
      void removeTree(this.#images).catch(() => undefined);
      if (who !== null) void endGently(who, STOP_LIMIT_MS).catch(() => undefined);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    try {
      return await this.ended;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Whether it has come to wait at its start gate; false when it has ended before. @throws the signal's reason, when it has left */
  async waitsAt(gate: StartGate, signal: AbortSignal): Promise<boolean> {
    const over = new AbortController();
    const ended = this.ended.then(async () => {
      over.abort();
      await gate.close();
      return false;
    });
    const waits = gate.waits(AbortSignal.any([signal, over.signal])).then(() => true);
    waits.catch(() => undefined);
    try {
      return await Promise.race([ended, waits]);
    } catch (error) {
      if (over.signal.aborted) return await ended;
      await this.leave(gate);
      throw error;
    }
  }

  /** Ends one that waits at its gate, or has not come so far; resolves when it is gone. */
  async leave(gate: StartGate): Promise<void> {
    const who = await this.#who();
    await gate.close();
    const late = setTimeout(() => {
      if (who !== null) void endOperation(who).catch(() => undefined);
    }, LEAVE_LIMIT_MS);
    await this.ended;
    clearTimeout(late);
  }

  async #who(): Promise<{ pid: number; startTime: string } | null> {
    const startTime = this.#pid === undefined ? null : await startTimeOf(this.#pid);
    return this.#pid === undefined || startTime === null ? null : { pid: this.#pid, startTime };
  }
}
