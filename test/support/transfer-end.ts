/** One end of a transfer in a lab host, driven from outside. */
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { labExecArgv, type Lab } from '@cmt/lab';

const root = join(import.meta.dirname, '../..');

/** One end of the transfer, in its host. */
export class TransferEnd {
  readonly #process;
  readonly #waiting = new Map<number, (answer: { value?: unknown; code?: string }) => void>();

  constructor(lab: Lab, host: string, address: string) {
    const tsx = join(root, 'node_modules/tsx/dist/esm/index.mjs');
    const program = ['node', '--import', tsx, join(root, 'test/support/transfer-in-host.ts')];
    const argv = labExecArgv(lab, host, [...program, host, address, '/root/.ssh/id_ed25519']);
    this.#process = start('sh', ['-c', 'exec "$@"', 'sh', ...argv], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#process.stdout === null) throw new Error('no output');
    createInterface({ input: this.#process.stdout }).on('line', (line) => {
      const answer = JSON.parse(line) as { id: number; value?: unknown; code?: string };
      this.#waiting.get(answer.id)?.(answer);
    });
  }

  /** A method of test/support/transfer-in-host.ts: its value, or `{code}` of its failure. */
  call(method: string, arg: unknown = null): Promise<{ value?: unknown; code?: string }> {
    const id = this.#waiting.size;
    this.#process.stdin?.write(`${JSON.stringify({ id, method, arg })}\n`);
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  async value<T>(method: string, arg: unknown = null): Promise<T> {
    const answer = await this.call(method, arg);
    if (answer.code !== undefined) throw new Error(`${method}: ${answer.code}`);
    return answer.value as T;
  }

  async end(): Promise<void> {
    this.#process.stdin?.end();
    await this.#process;
  }
}
