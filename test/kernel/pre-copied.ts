/**
 * A container of the virtual machine, and the rounds that its runc driver writes of it. The machine is one host: a copy is restored where
 * the source has been destroyed, from images that have been moved away from where they were written.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Blackout, Prediction, RoundFigures } from '@cmt/contracts';
import type { Lab } from '@cmt/lab';
import { bundleOf } from '../../apps/lab/src/demo/container.ts';
import { dirtyBytes } from '../../libs/host/src/criu/dirty-pages.ts';
import { criuConfigText, type CriuConfig } from '../../libs/host/src/criu/config.ts';
import { openGate, prepareGate, waitHeld } from '../../libs/host/src/criu/gate.ts';
import { startScriptIn } from '../../libs/host/src/criu/start-gate.ts';
import { readDumpStats, type DumpStats } from '../../libs/host/src/criu/stats.ts';
import { createRuntimes } from '../../libs/host/src/runtimes/registry.ts';
import { predictBlackout } from '../../libs/saga/src/predict.ts';
import { isUnbroken, readTicks } from '../support/ticks.ts';
import { ask, startWorkload } from '../support/workloads.ts';

/** 4 KiB each, every one of which says what it must hold. */
export const PAGES = 4096;
export const PAGE = 4096;
const HOST = 'host1';
/** Between ticks: one each millisecond is more than an emulated processor has time for. */
const TICK_MS = 10;
const LIMIT_MS = 10 * 60_000;
const limit = (): AbortSignal => AbortSignal.timeout(LIMIT_MS);

/** What was expected of a blackout, and what it was. Milliseconds. */
export interface Forecast {
  readonly rounds: number;
  readonly predicted: number;
  readonly measured: number;
  /** Bytes of memory in the last dump. */
  readonly remaining: { readonly predicted: number; readonly measured: number };
  /** Where both went, as far as that was measured. */
  readonly parts?: { readonly predicted: Prediction; readonly measured: Blackout };
}

/** What handing over has cost so far, as a worker keeps it. */
interface Costs {
  readonly dump: { bytes: number; ms: number }[];
  readonly readying: { bytes: number; ms: number }[];
  readonly restore: { bytes: number; ms: number }[];
}

/** Every page of that container holds what was written to it last, and it is written on. */
export async function expectPages(lab: Lab, host: string, id: string): Promise<void> {
  const asked = (word: string) =>
    ask<{ rewritten: number; pages: number; bad: number }>(lab, host, id, word, LIMIT_MS);
  const { rewritten } = await asked('state');
  const { pages, bad, rewritten: later } = await asked('verify');
  assert.deepEqual({ pages, bad }, { pages: PAGES, bad: 0 });
  assert.ok(later >= rewritten);
}

export class PreCopied {
  readonly forecasts: Forecast[] = [];
  readonly #runtime = createRuntimes({ host: HOST }).get('runc');
  readonly #costs: Costs = { dump: [], readying: [], restore: [] };
  #rounds: RoundFigures[] = [];

  private constructor(
    private readonly lab: Lab,
    private readonly id: string,
  ) {}

  /** @param pagesPerSecond that it writes all the time */
  static async start(lab: Lab, id: string, pagesPerSecond: number): Promise<PreCopied> {
    const args = [PAGES, pagesPerSecond, TICK_MS].map(String);
    await startWorkload(lab, HOST, { id, program: 'memory', net: { kind: 'none' }, args });
    return new PreCopied(lab, id);
  }

  /** One more round while it runs. `pagesLeft`: seen to be written again meanwhile. */
  async round(): Promise<DumpStats & { readonly pagesLeft: number }> {
    const number = this.#rounds.length + 1;
    const plan = await this.#plan(String(number));
    const [startedAt, begun] = [Date.now(), performance.now()];
    await this.#runtime.preDump(this.id, plan, limit());
    const ms = performance.now() - begun;
    const stats = await this.#statsOf(String(number));
    const bytesSent = stats.pagesWritten * PAGE;
    const left = await dirtyBytes((await this.#runtime.cgroup(this.id)) ?? '');
    this.#rounds.push({ ...stats, startedAt, ms, bytesSent, sendMs: ms, filesMs: null, dirtyBytes: left });
    return { ...stats, pagesLeft: (left ?? 0) / PAGE };
  }

  /** A round that is stopped when CRIU has begun to write. Rejects, also where that comes too late: it counts for nothing. */
  async stoppedRound(): Promise<void> {
    const plan = await this.#plan('stopped');
    const stop = new AbortController();
    const watcher = watch(plan.images);
    const begun = once(watcher, 'change').then(() => stop.abort());
    try {
      await this.#runtime.preDump(this.id, plan, stop.signal);
      await begun;
      stop.signal.throwIfAborted();
    } finally {
      watcher.close();
    }
  }

  /** The last dump, upon the rounds so far: it stands frozen. */
  async freezeAndDump(): Promise<DumpStats> {
    const startGate = join(this.#directory, 'start-gate');
    const plan = await this.#plan('final', { actionScript: startScriptIn(startGate) });
    const armed = await this.#runtime.armDump(this.id, { ...plan, startGate }, limit());
    const last = this.#rounds.at(-1);
    if (last !== undefined)
      this.#costs.readying.push({ bytes: 0, ms: Date.now() - last.startedAt - last.ms });
    await this.#runtime.pause(this.id, limit());
    await armed.dump(limit());
    return await this.#statsOf('final');
  }

  async resume(): Promise<void> {
    await this.#runtime.resume(this.id, limit());
    await this.forget();
  }

  /** Rounds that come to nothing. */
  async forget(): Promise<void> {
    this.#rounds = [];
    await rm(this.#images, { recursive: true, force: true });
  }

  /** Froze, dumped, destroyed and restored: what the switch cost, and what was expected of it. */
  async switch(): Promise<DumpStats> {
    const { totalMs: predicted, remaining } = this.#predict();
    const begun = performance.now();
    const final = await this.freezeAndDump();
    const dumped = performance.now();
    await this.#runtime.destroy(this.id, limit());
    const away = join(this.#directory, 'at the target');
    await rename(this.#images, away);
    const restored = performance.now();
    await this.#restore(join(away, 'final'));
    const ended = performance.now();
    this.#costs.dump.push({ bytes: final.pagesWritten * PAGE, ms: dumped - begun });
    this.#costs.restore.push({
      bytes: (final.pagesWritten + final.pagesSkipped) * PAGE,
      ms: ended - restored,
    });
    const measured = dumped - begun + ended - restored;
    this.forecasts.push({
      ...{ rounds: this.#rounds.length, predicted, measured },
      remaining: { predicted: remaining, measured: final.pagesWritten * PAGE },
    });
    this.#rounds = [];
    await rm(away, { recursive: true });
    return final;
  }

  /** It runs, has run once only, every page holds what was written to it last, and it is written on. */
  async expectRight(): Promise<void> {
    await expectPages(this.lab, HOST, this.id);
    await this.#untilTickAfter((await readTicks(this.lab, HOST, this.id)).length);
    assert.ok(isUnbroken(await readTicks(this.lab, HOST, this.id)));
  }

  /** The round that these images build upon, as CRIU has linked it; null for none. */
  parentOf(name: string): Promise<string | null> {
    return readlink(join(this.#images, name, 'parent')).catch(() => null);
  }

  async end(): Promise<void> {
    await this.#runtime.destroy(this.id, limit());
    await Promise.all(
      [this.#directory, bundleOf(this.id)].map((path) => rm(path, { recursive: true, force: true })),
    );
  }

  get #directory(): string {
    return join('/run/pre-copy', this.id);
  }

  get #images(): string {
    return join(this.#directory, 'images');
  }

  #work = (name: string): string => join(this.#directory, `work-${name}`);
  #statsOf = (name: string): Promise<DumpStats> => readDumpStats(this.#work(name));

  async #plan(name: string, gated: CriuConfig = {}) {
    const [images, work] = [join(this.#images, name), this.#work(name)];
    await Promise.all([images, work].map((path) => rm(path, { recursive: true, force: true })));
    await Promise.all([images, work].map((path) => mkdir(path, { recursive: true, mode: 0o700 })));
    const criuConfig = join(work, 'criu.conf');
    await writeFile(criuConfig, criuConfigText(gated));
    const before = this.#rounds.length;
    return {
      images,
      work,
      parent: before > 0 ? `../${before}` : null,
      tcp: 'established',
      criuConfig,
    } as const;
  }

  async #restore(images: string): Promise<void> {
    const [gate, work] = [join(this.#directory, 'gate'), this.#work('restore')];
    await mkdir(work, { recursive: true, mode: 0o700 });
    const criuConfig = join(work, 'criu.conf');
    await writeFile(criuConfig, criuConfigText(await prepareGate(gate, { loopback: true })));
    const bundle = bundleOf(this.id);
    const plan = { bundle, images, work, tcp: 'established', criuConfig } as const;
    const armed = await this.#runtime.armRestore(this.id, plan, limit());
    const { ended } = await armed.begin();
    await Promise.race([
      waitHeld(gate, limit()),
      ended.then(({ code }) => assert.fail(`the restore ended with ${code}`)),
    ]);
    await openGate(gate);
    assert.deepEqual(await ended, { code: 0 });
  }

  #predict(): Prediction {
    const { dump, readying, restore } = this.#costs;
    return predictBlackout({
      ...{
        rounds: this.#rounds,
        memory: PAGES * PAGE,
        sharedFiles: true,
        postCopy: false,
        lazyRestore: false,
      },
      ...{ sourceCosts: { dump, readying, files: [] }, targetCosts: { restore } },
    });
  }

  async #untilTickAfter(count: number): Promise<void> {
    const deadline = limit();
    while ((await readTicks(this.lab, HOST, this.id, count)).length === 0) {
      deadline.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
