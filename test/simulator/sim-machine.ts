/** The machine and the runtime of a simulated host, as the steps of one worker process see them. */
import { join } from 'node:path';
import { CmtError } from '@cmt/contracts';
import { GateUnattended } from '../../libs/host/src/criu/gate.ts';
import type { Machine } from '../../libs/host/src/machine.ts';
import type { Journal, JournalEntry } from '../../libs/host/src/journal.ts';
import type { Network } from '../../libs/host/src/network/network.ts';
import type {
  ArmedDump,
  ContainerState,
  RestoreUnderWay,
  Runtime,
  RestorePlan,
} from '../../libs/host/src/runtimes/runtime.ts';
import { BUNDLE, CONTAINER, type SimHost } from './sim-host.ts';
import type { SimProcess } from './sim-process.ts';

const DUMP_MS = 80;
const ACTION_SCRIPT = /action-script "?([^"\n]*)"?/;

export function machineOf(host: SimHost, who: SimProcess): Machine {
  const file = <T>(label: string, act: () => T) => who.effect(`files ${label}`, act);
  const gate = <T>(label: string, act: () => T | Promise<T>, signal?: AbortSignal) =>
    who.effect(`gate ${label}`, act, signal ? { signal } : {});
  return {
    clock: who.clock,
    files: {
      makeDirectory: (path) => file('mkdir', () => makeDirectory(host, path)),
      removeTree: (path) => file('rm', () => host.removeTree(path)),
      isThere: (path) => file('stat', () => host.isThere(path)),
      room: () => file('statfs', () => ({ free: 1e12, inMemory: true })),
      makeLinkedDirectory: (path) => file('ln', () => makeDirectory(host, path)),
      readText: (path) => file('read', () => host.texts.get(path) ?? null),
      writeText: (path, text) => file('write', () => void host.texts.set(path, text)),
      touchMappedFiles: () => file('touch', () => undefined),
    },
    processes: {
      named: (pid) => who.effect('proc named', () => host.processOf(pid)),
      isAlive: (process) => who.effect('proc alive', () => host.isProcess(process)),
      dirtyBytes: () => who.effect('proc dirty', () => null),
      beganAt: ({ pid }) => who.effect('proc began', () => host.processOf(pid)?.beganAt ?? 0),
      endOperation: ({ pid }) => who.effect('proc kill', () => host.killRestore(pid)),
    },
    gates: {
      prepare: (directory) =>
        gate('prepare', () => {
          host.gates.set(directory, { state: 'armed', abortAsked: false, openedAt: null, waiters: [] });
          return { actionScript: join(directory, 'gate.sh') };
        }),
      waitHeld: (directory, signal) => waitHeld(host, directory, who, signal),
      open: (directory) =>
        gate('open', () => {
          if (!host.openGate(directory)) throw new GateUnattended(directory);
        }),
      abort: (directory) => gate('abort', () => host.abortGate(directory)),
      state: (directory) => gate('state', () => host.gates.get(directory)?.state ?? 'absent'),
      times: (directory) =>
        gate('times', () => ({ heldAt: null, openedAt: host.gates.get(directory)?.openedAt ?? null })),
    },
    // No host of this world can do it (sim-facts.ts): every copy is complete when it is held.
    lazyPages: {
      arm: () => Promise.reject(new Error('no lazy pages here')),
      guardCopy: () => Promise.reject(new Error('no lazy pages here')),
      guardAgain: () => Promise.resolve(),
      state: () => Promise.resolve('absent'),
      noteLost: () => Promise.resolve(),
      whyLost: () => Promise.resolve(''),
      end: () => Promise.resolve(),
    },
    criu: {
      dumpStats: () => Promise.reject(new Error('no figures here')),
      lastLogTime: () => Promise.resolve(null),
      standsInRestorer: () => Promise.resolve(false),
      removeRootsYard: () => Promise.resolve(),
      explainRestore: (work, { container }) => Promise.resolve(explained(host, work, container)),
    },
    bundles: {
      remember: () => file('remember bundle', () => undefined),
      forget: () => file('forget bundle', () => undefined),
    },
  };
}

function makeDirectory(host: SimHost, path: string): void {
  if (path === BUNDLE && !host.bundles.has(BUNDLE))
    host.bundles.set(BUNDLE, { generation: -1, whileFrozen: false });
  else host.directories.add(path);
}

function waitHeld(host: SimHost, directory: string, who: SimProcess, signal: AbortSignal) {
  const held = () => ({ initPid: host.copy?.pid ?? 0, heldAt: who.world.time.now });
  return who.effect(
    'gate wait',
    () =>
      new Promise<ReturnType<typeof held>>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        if (signal.aborted) return reject(signal.reason as Error);
        const gate = host.gates.get(directory);
        if (gate?.state === 'held') resolve(held());
        else gate?.waiters.push(() => resolve(held()));
      }),
    { signal },
  );
}

function explained(host: SimHost, work: string, container: string): CmtError {
  const reason = host.texts.get(join(work, 'why')) ?? 'it ended without naming a reason';
  if (reason === 'exists') return new CmtError('NAME_TAKEN', { host: host.name, container });
  return new CmtError('RESTORE_FAILED', { host: host.name, container, reason });
}

/** Milliseconds from the rename of an entry to its being durable. */
const SYNC_MS = 1;

/** The journal on the host's disk: an entry is seen from the instant of its rename, and durable when its write is answered. */
export function journalOf(host: SimHost, who: SimProcess, checksEpoch = true): Journal {
  const { time } = who.world;
  const all = () => [...host.journal.values()];
  return {
    read: (migration) => who.effect('journal read', () => host.journal.get(migration) ?? null),
    write: (entry: JournalEntry) =>
      who.effect('journal write', () => {
        const current = host.journal.get(entry.migration);
        if (checksEpoch && current !== undefined && current.epoch > entry.epoch)
          throw new CmtError('STALE_EPOCH', {
            ...{ host: host.name, step: `phase ${entry.phase}`, epoch: entry.epoch },
            current: current.epoch,
          });
        host.journalled(current ?? null, entry);
        host.rename(entry);
        return new Promise<void>((resolve) =>
          time.after(SYNC_MS, () => {
            if (who.isAlive) host.sync(entry.migration);
            resolve();
          }),
        );
      }),
    open: () => who.effect('journal open', () => all().filter(({ closed }) => !closed)),
    unreadable: () => Promise.resolve([]),
    busyWith: (container) =>
      who.effect(
        'journal busy',
        () => all().find((entry) => !entry.closed && entry.container === container)?.migration ?? null,
      ),
    prune: () => Promise.resolve(),
  };
}

export function networkOf(host: SimHost, who: SimProcess): Network {
  const set = (label: string, change: Partial<SimHost['network']>) =>
    who.effect(`network ${label}`, () => void Object.assign(host.network, change));
  return {
    describe: () => Promise.reject(new Error('inspect is simulated')),
    fence: async (_network, _signal, freeze) => {
      await freeze?.();
      await set('fence', { fenced: true });
    },
    unfence: () => set('unfence', { fenced: false }),
    build: () => set('build', { built: true, attached: false }),
    attach: async (_network, _signal, ready) => {
      await ready;
      await set('attach', { attached: true });
    },
    remove: ({ kind }) =>
      who.effect('network remove', () => {
        // What was never about to be built is nobody's to remove (see prepare.ts).
        if (kind !== 'bridge') return;
        if (host.copy !== null)
          throw new CmtError('NETWORK_IN_USE', { host: host.name, netns: 'web', process: 'process 1' });
        Object.assign(host.network, { built: false, attached: false, fenced: false });
      }),
    conflicts: () => who.effect('network look', () => ({ addressesTaken: [], missingBridges: [] })),
  };
}

export function runtimeOf(host: SimHost, who: SimProcess): Runtime {
  const { promises, time } = who.world;
  const tool = <T>(label: string, act: () => T | Promise<T>, signal?: AbortSignal) =>
    who.effect(`runtime ${label}`, act, signal ? { signal } : {});
  const dumped = (images: string, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const stop = () => time.after(5, () => reject(signal.reason as Error));
      if (signal.aborted) return stop();
      signal.addEventListener('abort', stop, { once: true });
      time.after(DUMP_MS, () => {
        if (signal.aborted) return;
        if (host.copy?.status !== 'paused') return reject(dumpFailed(host));
        host.images.set(images, host.copy.generation);
        resolve();
      });
    });
  const restored = (plan: RestorePlan): Promise<RestoreUnderWay> =>
    tool('restore', () => {
      const script = ACTION_SCRIPT.exec(host.texts.get(plan.criuConfig) ?? '')?.[1] ?? '';
      const explain = (why: string) => void host.texts.set(join(plan.work, 'why'), why);
      const { pid, startTime, ended } = host.startRestore(plan.images, join(script, '..'), explain);
      return { pid, startTime, ended: delivered(ended, who) };
    });
  return {
    name: 'runc',
    version: () => Promise.resolve('1'),
    list: () => Promise.resolve([]),
    cgroup: () => Promise.resolve(null),
    state: () => tool('state', () => stateOf(host)),
    pause: (_, signal) =>
      tool(
        'pause',
        () => {
          if (host.copy === null || host.copy.status === 'held')
            throw new CmtError('FREEZE_FAILED', {
              container: CONTAINER,
              host: host.name,
              reason: 'it is gone',
            });
          promises.freezing(host);
          host.copy.status = 'paused';
        },
        signal,
      ),
    resume: (_, signal) =>
      tool(
        'resume',
        () => {
          if (host.copy === null) throw new Error('container does not exist');
          if (host.copy.status !== 'paused') return;
          host.copy.status = 'running';
          promises.resumed(host);
        },
        signal,
      ),
    preDump: () => Promise.reject(new Error('no dirty tracking here')),
    armDump: (_, plan, armSignal) =>
      tool(
        'arm-dump',
        (): ArmedDump => ({
          dump: (signal) => tool('dump', () => dumped(plan.images, signal), signal),
          disarm: () => Promise.resolve(),
        }),
        armSignal,
      ),
    dumpServing: () => Promise.reject(new Error('no post-copy here')),
    armRestore: (_, plan) => Promise.resolve({ begin: () => restored(plan), leave: () => Promise.resolve() }),
    destroy: () => tool('destroy', () => host.destroy()),
  };
}

const dumpFailed = (host: SimHost): CmtError =>
  new CmtError('DUMP_FAILED', { container: CONTAINER, host: host.name, reason: 'it is not frozen' });

const delivered = <T>(promise: Promise<T>, who: SimProcess): Promise<T> =>
  new Promise((resolve) => void promise.then((value) => who.deliver(() => resolve(value))));

function stateOf({ copy }: SimHost): ContainerState | null {
  if (copy === null) return null;
  const status = copy.status === 'held' ? 'created' : copy.status;
  return { id: CONTAINER, status, pid: copy.pid, bundle: BUNDLE, rootfs: `${BUNDLE}/rootfs`, cgroup: null };
}
