/** A machine in the simulated world: its disk and memory, one container, restores under way, gates, and the container's network. */
import type { LegResult } from '@cmt/contracts';
import type { GateState } from '../../libs/host/src/criu/gate.ts';
import type { JournalEntry } from '../../libs/host/src/journal.ts';
import type { ProcessName } from '../../libs/host/src/machine.ts';
import type { HostNode, World } from './world.ts';

export const CONTAINER = 'web';
export const BUNDLE = '/srv/web';
export const IMAGES_DIR = '/run/cmt/images';
export const STATE_DIR = '/var/lib/cmt';

/** What runs, stands, or is held. `generation` counts the times that the container has been let run anywhere. */
export interface Copy extends ProcessName {
  status: 'running' | 'paused' | 'held';
  generation: number;
  readonly beganAt: number;
}

/** Files of the bundle as they were when the container had been let run so many times; `whileFrozen` when they were final. */
export interface BundleContent {
  readonly generation: number;
  readonly whileFrozen: boolean;
}

export interface RestoreOperation extends ProcessName {
  readonly beganAt: number;
  readonly gate: string;
  alive: boolean;
  readonly ended: Promise<{ code: number | null }>;
  end(code: number | null): void;
}

interface Gate {
  state: GateState;
  abortAsked: boolean;
  openedAt: number | null;
  readonly waiters: (() => void)[];
}

const RESTORE_MS = 120;
/** Milliseconds that a write stays in memory when nobody asks for more (the kernel's dirty_expire_centisecs is 30 s). */
const UNSYNCED_MS = 5_000;

export class SimHost {
  readonly name: HostNode;
  readonly #world: World;
  #pids = 100;
  copy: Copy | null = null;
  isUp = true;
  /** As every process sees it; `#unsynced` has what a power cut may still make of an entry. */
  readonly journal = new Map<string, JournalEntry>();
  readonly #unsynced = new Map<string, JournalEntry | null>();
  /** Results of legs that have ended here; written, but not fsynced. */
  readonly ledger = new Map<string, LegResult>();
  readonly texts = new Map<string, string>();
  readonly directories = new Set<string>();
  /** Complete dumps by directory, with the generation of the memory in them. */
  readonly images = new Map<string, number>();
  /** Directories of images of which this host, as the target, has heard that everything is there, files included. */
  readonly toldComplete = new Set<string>();
  readonly bundles = new Map<string, BundleContent>();
  readonly gates = new Map<string, Gate>();
  readonly restores = new Map<number, RestoreOperation>();
  readonly network = { built: false, attached: false, fenced: false };

  constructor(world: World, name: HostNode) {
    this.#world = world;
    this.name = name;
  }

  /** An entry is about to take the place of another. */
  journalled(before: JournalEntry | null, after: JournalEntry): void {
    this.#world.promises.journalled(this, before, after);
  }

  /** An entry takes the place of another in its directory. */
  rename(entry: JournalEntry): void {
    const { migration } = entry;
    if (!this.#unsynced.has(migration)) this.#unsynced.set(migration, this.journal.get(migration) ?? null);
    this.journal.set(migration, entry);
  }

  /** What stands in the journal of that migration, or of all, is durable now. */
  sync(migration: string): void {
    if (this.#world.rules.syncsJournal) this.#unsynced.delete(migration);
  }

  syncJournal(): void {
    for (const migration of [...this.#unsynced.keys()]) this.sync(migration);
  }

  /** A container as its user started it. */
  startContainer(): void {
    this.copy = { ...this.#newProcess(), status: 'running', generation: 0 };
    this.network.attached = true;
    this.bundles.set(BUNDLE, { generation: 0, whileFrozen: false });
  }

  isProcess({ pid, startTime }: ProcessName): boolean {
    if (this.copy?.pid === pid) return this.copy.startTime === startTime;
    return this.restores.get(pid)?.alive === true && this.restores.get(pid)?.startTime === startTime;
  }

  processOf(pid: number): (ProcessName & { beganAt: number }) | null {
    if (this.copy?.pid === pid) return this.copy;
    const restore = this.restores.get(pid);
    return restore?.alive === true ? restore : null;
  }

  startRestore(images: string, gate: string, explain: (why: string) => void): RestoreOperation {
    let resolve: (ended: { code: number | null }) => void = () => undefined;
    const ended = new Promise<{ code: number | null }>((done) => (resolve = done));
    const operation: RestoreOperation = {
      ...this.#newProcess(),
      ...{ gate, alive: true, ended },
      end: (code) => {
        operation.alive = false;
        resolve({ code });
      },
    };
    this.restores.set(operation.pid, operation);
    const fails = this.#world.restoreFails(this.name);
    this.#world.time.after(RESTORE_MS, () => {
      if (!operation.alive) return;
      const generation = this.images.get(images);
      const why = fails ?? this.#refusal(generation);
      if (why !== null || generation === undefined) {
        explain(why ?? 'no images');
        operation.end(1);
      } else this.#hold(operation, generation);
    });
    return operation;
  }

  /** `true` when the copy runs now or before. */
  openGate(directory: string): boolean {
    const gate = this.gates.get(directory);
    if (gate?.state === 'opened') return true;
    const operation = this.#operationAt(directory);
    if (gate?.state !== 'held' || operation === null || this.copy?.status !== 'held') return false;
    gate.state = 'opened';
    gate.openedAt = this.#world.time.now;
    this.copy.status = 'running';
    this.#world.promises.released(this, directory);
    this.#world.time.after(3, () => operation.end(0));
    return true;
  }

  /** `false` when it was opened before. */
  abortGate(directory: string): boolean {
    const gate = this.gates.get(directory);
    if (gate === undefined) return true;
    if (gate.state === 'opened') return false;
    gate.abortAsked = true;
    const operation = this.#operationAt(directory);
    if (gate.state === 'held' && operation !== null) {
      gate.state = 'aborted';
      this.#endCopy();
      operation.end(1);
    }
    return true;
  }

  killRestore(pid: number): void {
    this.restores.get(pid)?.end(null);
  }

  /** Kills every process of the container, and what restores it. */
  destroy(): void {
    for (const restore of this.restores.values()) if (restore.alive) restore.end(null);
    this.#endCopy();
  }

  /** Deletes all that lies at or below a path. */
  removeTree(path: string): void {
    const within = (other: string) => other === path || other.startsWith(`${path}/`);
    for (const map of [this.texts, this.images, this.bundles, this.gates])
      for (const key of [...map.keys()]) if (within(key)) map.delete(key);
    for (const directory of [...this.directories]) if (within(directory)) this.directories.delete(directory);
  }

  isThere(path: string): boolean {
    const within = (other: string) => other === path || other.startsWith(`${path}/`);
    return [...this.texts.keys(), ...this.images.keys(), ...this.bundles.keys(), ...this.directories].some(
      within,
    );
  }

  /** The power goes: processes and memory are gone, and of the disk what nobody had made durable. */
  losePower(): void {
    for (const restore of this.restores.values()) restore.alive = false;
    this.restores.clear();
    this.copy = null;
    this.removeTree(IMAGES_DIR);
    Object.assign(this.network, { built: false, attached: false, fenced: false });
    for (const leg of [...this.ledger.keys()]) if (this.#world.random.chance(0.5)) this.ledger.delete(leg);
    this.#loseUnsynced();
    this.isUp = false;
  }

  #loseUnsynced(): void {
    for (const [id, before] of this.#unsynced) {
      const updatedAt = this.journal.get(id)?.updatedAt ?? 0;
      if (updatedAt <= this.#world.time.now - UNSYNCED_MS || this.#world.random.chance(0.5)) continue;
      if (before === null) this.journal.delete(id);
      else this.journal.set(id, before);
    }
    this.#unsynced.clear();
  }

  #newProcess(): ProcessName & { beganAt: number } {
    const pid = (this.#pids += 1);
    return { pid, startTime: String(pid * 7), beganAt: this.#world.time.now };
  }

  #refusal(generation: number | undefined): string | null {
    if (this.copy !== null) return 'exists';
    if (generation === undefined) return 'no images';
    return this.bundles.has(BUNDLE) ? null : 'no bundle';
  }

  #hold(operation: RestoreOperation, generation: number): void {
    const gate = this.gates.get(operation.gate);
    if (gate === undefined || gate.abortAsked) return operation.end(1);
    this.copy = { ...this.#newProcess(), status: 'held', generation };
    gate.state = 'held';
    for (const wake of gate.waiters.splice(0)) wake();
  }

  #operationAt(gate: string): RestoreOperation | null {
    return [...this.restores.values()].find((restore) => restore.alive && restore.gate === gate) ?? null;
  }

  #endCopy(): void {
    if (this.copy !== null) this.#world.promises.ending(this, this.copy);
    this.copy = null;
  }
}
