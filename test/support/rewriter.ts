/** A container on host1 that rewrites its memory all along, made anew for each test of a file, and watched from outside. */
import { labExec } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { removeContainer } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import type { Mend } from './broken-tools.ts';
import { expectOneCopy, expectOneHistory, lookAtHosts, type Before } from './expectations.ts';
import { startFleet, type Fleet } from './fleet.ts';
import { ask, startWorkload } from './workloads.ts';

const VERIFY_MS = 90_000;

export interface RewriterOptions {
  /** Names the lab of this file. */
  readonly lab: string;
  readonly id: string;
  /** Of 4 KiB each. */
  readonly pages: number;
}

export class Rewriter {
  fleet!: Fleet;
  /** Both hosts as they were when the container had started. */
  before!: Before;
  witness!: Observer<CopiesReport>;
  #mend: Mend | undefined;

  constructor(private readonly options: RewriterOptions) {}

  /** Registers what makes it ready for each test, and takes it down. */
  static use(options: RewriterOptions): Rewriter {
    const rewriter = new Rewriter(options);
    beforeAll(async () => {
      rewriter.fleet = await startFleet(options.lab);
    }, 300_000);
    afterAll(() => rewriter.fleet.stop(), 60_000);
    beforeEach(() => rewriter.#start(), 60_000);
    afterEach(() => rewriter.#remove());
    return rewriter;
  }

  /** Something is broken until `mend`, or the end of the test. */
  async broken(breaking: Promise<Mend>): Promise<void> {
    this.#mend = await breaking;
  }

  async mend(): Promise<void> {
    await this.#mend?.();
    this.#mend = undefined;
  }

  async inHost(host: string, script: string): Promise<string> {
    return (await labExec(this.fleet.lab, host, ['sh', '-c', script])).stdout.trim();
  }

  async expectAllMemory(host: string): Promise<void> {
    const { id, pages } = this.options;
    const verified = await ask(this.fleet.lab, host, id, 'verify', VERIFY_MS);
    expect(verified).toMatchObject({ pages, bad: 0 });
  }

  /** It runs there with all its memory, and never ran twice, or nowhere. */
  async expectRunsOn(host: string): Promise<void> {
    await this.expectAllMemory(host);
    await expectOneHistory(this.fleet.lab, this.options.id, host);
    await expectOneCopy(this.witness);
  }

  async #start(): Promise<void> {
    const { id, pages } = this.options;
    const { lab } = this.fleet;
    const args = [String(pages)];
    await startWorkload(lab, 'host1', { id, program: 'memory', net: { kind: 'none' }, args });
    this.before = await lookAtHosts(lab);
    this.witness = await startWitness(lab, id);
  }

  async #remove(): Promise<void> {
    await this.mend();
    this.witness.kill();
    for (const { name } of this.fleet.lab.hosts) await removeContainer(this.fleet.lab, name, this.options.id);
  }
}

export const outcomeOf = ({ state, failure }: { state: string; failure: { code: string } | null }) => [
  state,
  failure?.code ?? null,
];
