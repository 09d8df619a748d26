/**
 * Two paper hosts with a running container on one of them, and every step of a migration between them as a short word.
 * Steps run as the coordinator would ask for them, without queue or saga.
 */
import type { ContainerNetwork, StepInput, Subject } from '@cmt/contracts';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { isThere } from '../../libs/host/src/mounts.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import { MIGRATION, openPaperHost, PaperDecisions, writeBundle, type PaperHost } from './paper-host.ts';

export const container = 'web';

const bridged: ContainerNetwork = {
  ...{ kind: 'bridge', netns: '/run/netns/web' },
  ...{ links: [], routes: [], neighbours: [] },
};

export const bundleOn = (host: PaperHost): string => join(host.root, 'bundles', container);
export const on = (host: PaperHost): Subject => ({ runtime: 'runc', container, bundle: bundleOn(host) });

/** Matches a CmtError of that code. */
export const failure = (code: string): unknown =>
  expect.objectContaining({ failure: expect.objectContaining({ code }) as unknown });

/** The inputs of all steps of a move between these two hosts. */
export const inputs = (source: PaperHost, target: PaperHost) => {
  const onSource = { subject: on(source), network: bridged };
  const onTarget = { subject: on(target), network: bridged };
  const route = target.route();
  return {
    ...{ onSource, onTarget },
    prepare: {
      ...onTarget,
      ...{ source: source.name, sourceKey: source.parts.endpoint.publicKey, transport: 'tcp' },
      ...{ memory: 1_000_000, files: 1000, sharedRootfs: false },
    } satisfies StepInput<'prepare'>,
    syncFiles: { subject: on(source), route } satisfies StepInput<'sync-files'>,
    freeze: {
      ...onSource,
      ...{ route, tcp: 'established', rounds: 0, awaitRestorer: true, carry: true, memory: 1_000_000 },
    } satisfies StepInput<'freeze-and-dump'>,
    finalSync: { subject: on(source), route, carry: true } satisfies StepInput<'final-sync'>,
    hold: { ...onTarget, tcp: 'established', rounds: 0, lazy: false } satisfies StepInput<'restore-and-hold'>,
  };
};

/** The hosts of the present test. `source` and `target` change when a worker is started again. */
export class TwoHosts {
  constructor(
    public source: PaperHost,
    public target: PaperHost,
    readonly decisions: PaperDecisions,
  ) {}

  prepare = (epoch = 1, more: Partial<StepInput<'prepare'>> = {}) =>
    steps.prepare({ ...this.#inputs().prepare, ...more }, this.target.context(epoch));
  syncFiles = (epoch = 1) => steps['sync-files'](this.#inputs().syncFiles, this.source.context(epoch));
  preDump = (round: number) =>
    steps['pre-dump'](
      { ...this.#inputs().syncFiles, round, tcp: 'established', carry: round > 1, memory: 1_000_000 },
      this.source.context(),
    );
  freeze = (epoch = 1, signal?: AbortSignal) =>
    steps['freeze-and-dump'](this.#inputs().freeze, this.source.context(epoch, signal));
  finalSync = (epoch = 1, carry = true) =>
    steps['final-sync']({ ...this.#inputs().finalSync, carry }, this.source.context(epoch));
  hold = (epoch = 1, signal?: AbortSignal) =>
    steps['restore-and-hold'](this.#inputs().hold, this.target.context(epoch, signal));
  release = (epoch = 1, signal?: AbortSignal) =>
    steps.release(this.#inputs().onTarget, this.target.context(epoch, signal));
  confirm = (confirmForMs: number) =>
    steps.confirm({ subject: on(this.target), confirmForMs }, this.target.context());
  discard = (epoch = 1) => steps.discard(this.#inputs().onTarget, this.target.context(epoch));
  resume = (epoch = 1) => steps.resume(this.#inputs().onSource, this.source.context(epoch));
  retire = () => steps.retire(this.#inputs().onSource, this.source.context());

  async clean(outcome: 'moved' | 'stayed', epoch = 1): Promise<void> {
    await steps.clean({ side: 'source', ...this.#inputs().onSource, outcome }, this.source.context(epoch));
    await steps.clean({ side: 'target', ...this.#inputs().onTarget, outcome }, this.target.context(epoch));
  }

  /** Both legs of a switch up to the held copy. */
  async heldOnTarget(epoch = 1) {
    await this.prepare(epoch);
    await this.syncFiles(epoch);
    const holding = this.hold(epoch);
    const frozen = await this.freeze(epoch);
    const synced = await this.finalSync(epoch);
    return { frozen, synced, held: await holding };
  }

  /** As the coordinator undoes it: ABORT on record, discard, resume, clean. */
  async undo(epoch = 1) {
    expect(await this.decisions.settle(MIGRATION, epoch, 'ABORT')).toBe('ABORT');
    expect(await this.discard(epoch)).toEqual({ decision: 'ABORT' });
    const resumed = await this.resume(epoch);
    await this.clean('stayed', epoch);
    return resumed;
  }

  async expectSourceAsBefore(): Promise<void> {
    expect(await this.source.runtime.executes(container)).toBe(true);
    expect(this.source.network.state).toEqual(new Set());
    expect(await this.source.images()).toEqual([]);
    expect(await this.source.journal.open()).toEqual([]);
  }

  async expectNothingOnTarget(): Promise<void> {
    expect(await this.target.runtime.list()).toEqual([]);
    expect(this.target.network.state).toEqual(new Set());
    expect(await this.target.images()).toEqual([]);
    expect(await isThere(bundleOn(this.target))).toBe(false);
    expect(await this.target.journal.open()).toEqual([]);
  }

  #inputs = () => inputs(this.source, this.target);
}

/** Two fresh hosts for every test of a file. */
export function useTwoHosts(): () => TwoHosts {
  let hosts: TwoHosts;
  beforeEach(async () => {
    const decisions = new PaperDecisions();
    const [source, target] = [await openPaperHost('a', decisions), await openPaperHost('b', decisions)];
    hosts = new TwoHosts(source, target, decisions);
    await writeBundle(bundleOn(source));
    await source.runtime.run(container, bundleOn(source));
  });
  afterEach(async () => {
    await hosts.source.close();
    await hosts.target.close();
  });
  return () => hosts;
}
