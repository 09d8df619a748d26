/**
 * What must hold after every event (docs/lifecycle.md, H1 to H8), looked at from outside: at the copies themselves, at what is
 * durable on the hosts, and at every vote that was ever counted, also one that Redis has forgotten since.
 */
import type { Decision, Side } from '@cmt/contracts';
import type { JournalEntry, Phase } from '../../libs/host/src/journal.ts';
import { BUNDLE, IMAGES_DIR, type Copy, type SimHost } from './sim-host.ts';
import type { World } from './world.ts';

export interface Violation {
  readonly promise: string;
  readonly text: string;
  /** Milliseconds since the beginning. */
  readonly at: number;
}

export class Promises {
  readonly violations: Violation[] = [];
  readonly #world: World;
  readonly #votes = new Map<string, Set<Decision>>();
  readonly #held = new Set<string>();
  /** `<migration> <side>` of which an operator's word that it is fenced was ever on record; and what is the word now. */
  readonly #everFenced = new Set<string>();
  readonly #fenced = new Map<string, Side | null>();
  /** Epochs whose source has run on without ABORT on record. */
  readonly #ranOnAlone = new Set<string>();
  readonly #ranOn = new Set<string>(['alpha']);
  /** How often the container has been let run, wherever. */
  #generation = 0;
  /** A host that lost its power held the only copy: nothing that cmt could have kept. */
  lostWithHost = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** After every event. */
  check(): void {
    const running = this.#world.hosts.filter(({ copy }) => copy?.status === 'running');
    if (running.length > 1 && !this.#world.operator.hasErred) this.#broken('one copy', 'two copies run');
    if (!this.lostWithHost && !this.#isAnyRunnable()) this.#broken('one copy', 'no copy can run any more');
    for (const host of this.#world.hosts) if (host.copy?.status === 'held') this.#noteHeld(host);
  }

  decided(migration: string, epoch: number, decision: Decision): void {
    const votes = this.#votes.get(`${migration} ${epoch}`) ?? new Set();
    this.#votes.set(`${migration} ${epoch}`, votes.add(decision));
    if (votes.size > 1 && !this.#world.redisHasLost)
      this.#broken('H3', `COMMIT and ABORT of ${migration} ${epoch}`);
  }

  /** An operator's word is on record, or (null) was taken back. */
  fenced(migration: string, side: Side | null): void {
    if (side !== null) this.#everFenced.add(`${migration} ${side}`);
    this.#fenced.set(migration, side);
  }

  /** The gate of that directory was opened. */
  released(host: SimHost, gate: string): void {
    const [, migration = '', epoch = ''] = /([^/]+)\/(\d+)-gate$/.exec(gate) ?? [];
    const entry = host.journal.get(migration);
    const goesOnAlone = this.#everFenced.has(`${migration} source`);
    if (this.#isFenced(migration, 'target')) this.#runsFenced(migration, 'target');
    if (!goesOnAlone && !this.#wasDecided(migration, Number(epoch), 'COMMIT'))
      this.#broken('H1', `the gate of ${migration} ${epoch} opens without COMMIT`);
    if (entry?.epoch !== Number(epoch) || (entry.phase !== 'COMMITTED' && entry.phase !== 'RUNNING'))
      this.#broken('H4', `the gate of ${migration} ${epoch} opens while the journal says ${said(entry)}`);
    const content = host.bundles.get(BUNDLE);
    if (host.copy !== null) {
      if (host.copy.generation !== this.#generation && !goesOnAlone)
        this.#broken('memory', 'an older state of the container runs');
      if (content?.generation !== host.copy.generation || !content.whileFrozen)
        this.#broken('files', 'the files are older than the memory');
      this.#letRun(host, host.copy);
    }
  }

  /** A command of an older epoch changes nothing. */
  journalled(host: SimHost, before: JournalEntry | null, after: JournalEntry): void {
    if (before !== null && after.epoch < before.epoch)
      this.#broken('H4', `${host.name}: ${said(before)} becomes ${said(after)}`);
  }

  freezing(host: SimHost): void {
    const entry = this.#newest(host, 'source');
    if (entry?.phase !== 'FROZEN') this.#broken('H4', `frozen while the journal says ${said(entry)}`);
  }

  resumed(host: SimHost): void {
    const entry = this.#newest(host, 'source');
    if (entry?.phase !== 'RESUMED') this.#broken('H4', `resumed while the journal says ${said(entry)}`);
    const goesOnAlone = entry !== null && this.#everFenced.has(`${entry.migration} target`);
    if (entry !== null && this.#isFenced(entry.migration, 'source') && !this.#isAlone(host, entry))
      this.#runsFenced(entry.migration, 'source');
    if (entry !== null && !goesOnAlone) this.#mayResume(host, entry);
    if (host.copy === null) return;
    if (host.copy.generation !== this.#generation && !goesOnAlone)
      this.#broken('memory', 'an older state of the container runs on');
    this.#letRun(host, host.copy);
  }

  /** A copy is about to be destroyed. */
  ending(host: SimHost, copy: Copy): void {
    if (copy.status === 'held') return;
    if (copy.status === 'running') this.#broken('one copy', `${host.name}: a running copy is killed`);
    const entry = this.#newest(host, 'source');
    if (entry?.phase !== 'RETIRED')
      this.#broken('H4', `a ${copy.status} copy dies while the journal says ${said(entry)}`);
  }

  /**
   * The power of a host goes. What ran there ends with its machine, as any program does. After that a single fault may leave no
   * other copy only where there was none; of several faults nothing more is promised.
   */
  powerLost(lost: Copy | null): void {
    const wasNewest = lost !== null && lost.generation === this.#generation;
    if (wasNewest && (lost.status === 'running' || this.#world.faultCount > 1)) this.lostWithHost = true;
    if (!this.#isAnyRunnable() || (this.#world.faultCount > 1 && !this.#isAnyCopy()))
      this.lostWithHost = true;
  }

  /** When everything has come to rest. */
  final(): void {
    if (this.#world.clientIsGone) return this.#finalWithoutClient();
    const migrations = this.#world.asked.map((id) => ({ id, ...this.#world.migration(id) }));
    for (const { id, end, stage } of migrations)
      if (end === null) this.#broken('end', `${id} has not ended: it is at ${stage}`);
    for (const { id, end, reason } of migrations)
      if (end === 'needs-operator' && reason === null)
        this.#broken('end', `${id} needs an operator, and says not why`);
    if (this.lostWithHost || migrations.some(({ end }) => end === 'needs-operator')) return;
    const running = this.#world.hosts.filter(({ copy }) => copy?.status === 'running');
    if (running.length === 0) this.#broken('end', 'the container does not run');
    // An operator has erred: both copies are kept, and reported.
    if (running.length > 1) return;
    for (const host of this.#world.hosts) this.#nothingLeft(host);
  }

  /**
   * Nobody is there to bring a migration to its end: but the container runs, unless a vote was sent that nobody can count any more.
   * Of more than one fault only this is promised: that it never was two copies, nor none.
   */
  #finalWithoutClient(): void {
    if (this.lostWithHost || this.#world.faultCount > 1) return;
    const isInDoubt = this.#world.hosts.some((host) =>
      [...host.journal.values()].some(
        ({ migration, epoch, phase }) =>
          phase === 'HELD' && this.#world.votesSent.has(`${migration} ${epoch}`),
      ),
    );
    const runs = this.#world.hosts.some(({ copy }) => copy?.status === 'running');
    if (!runs && !isInDoubt)
      this.#broken('end', 'the client is gone, and the container stands still although no vote was sent');
  }

  #nothingLeft(host: SimHost): void {
    const open = [...host.journal.values()].filter(({ closed }) => !closed);
    if (open.length > 0)
      this.#broken('H7', `${host.name}: open in the journal: ${open.map(said).join('; ')}`);
    if (host.isThere(IMAGES_DIR)) this.#broken('H7', `${host.name}: images are left`);
    const { built, attached, fenced } = host.network;
    if (host.copy === null && (built || attached || fenced))
      this.#broken('H7', `${host.name}: network is left`);
    if (host.copy !== null && (fenced || !attached))
      this.#broken('H7', `${host.name}: the container is cut off`);
    if (host.bundles.has(BUNDLE) && !this.#ranOn.has(host.name) && !this.#mayHaveRun(host))
      this.#broken('H7', `${host.name}: a bundle is left`);
  }

  /** A fenced target of which nobody knows any more whether its gate was opened: its files are kept for somebody to look at. */
  #mayHaveRun = (host: SimHost): boolean =>
    [...host.journal.values()].some(
      ({ migration, bundleExisted }) => bundleExisted && this.#everFenced.has(`${migration} target`),
    );

  #isFenced = (migration: string, side: Side): boolean =>
    this.#fenced.get(migration) === side && !this.#world.redisHasLost;

  #runsFenced = (migration: string, side: Side): void =>
    this.#broken('H8', `${migration}: the ${side} runs, and was declared fenced`);

  /** The target never held the copy that this source holds. */
  #isUnheld = ({ migration, epoch, saidGo }: JournalEntry): boolean =>
    saidGo !== true && !this.#held.has(`${migration} ${epoch}`);

  /** The target has written down that it will not run it. */
  #isGivenUp(source: SimHost, { migration, epoch }: JournalEntry): boolean {
    const there = this.#world.other(source).journal.get(migration);
    return there?.phase === 'DISCARDED' && there.epoch >= epoch;
  }

  #isAlone = (source: SimHost, entry: JournalEntry): boolean =>
    this.#isUnheld(entry) || this.#isGivenUp(source, entry);

  #mayResume(host: SimHost, entry: JournalEntry): void {
    const { migration, epoch } = entry;
    const key = `${migration} ${epoch}`;
    if (!this.#wasDecided(migration, epoch, 'ABORT')) {
      if (!this.#isAlone(host, entry)) this.#broken('H2', `${key} runs on at ${host.name} without ABORT`);
      this.#ranOnAlone.add(key);
    }
    if (this.#held.has(key) && !this.#isGivenUp(host, entry) && this.#world.redisHasLost) {
      const there = said(this.#world.other(host).journal.get(migration));
      this.#broken('H6', `${key} runs on, the target says ${there}, and Redis has lost writes`);
    }
  }

  #letRun(host: SimHost, copy: Copy): void {
    this.#generation += 1;
    copy.generation = this.#generation;
    this.#ranOn.add(host.name);
  }

  /** A process that runs, or that somebody can let run; or complete images and files where a restore may still be ordered. */
  #isAnyRunnable = (): boolean =>
    this.#isAnyCopy() || this.#world.hosts.some((host) => this.#canRestore(host));

  #isAnyCopy = (): boolean => this.#world.hosts.some((host) => host.copy !== null);

  /** A target that has everything and was never told so does not know it. */
  #canRestore = (host: SimHost): boolean =>
    [...host.journal.values()].some(({ phase, closed }) => RESTORABLE.includes(phase) && !closed) &&
    [...host.images].some(
      ([path, generation]) => generation === this.#generation && host.toldComplete.has(path),
    ) &&
    host.bundles.get(BUNDLE)?.generation === this.#generation;

  #noteHeld(host: SimHost): void {
    for (const { migration, epoch, phase } of host.journal.values())
      if (phase === 'HELD') {
        this.#held.add(`${migration} ${epoch}`);
        if (this.#ranOnAlone.has(`${migration} ${epoch}`))
          this.#broken('H2', `${migration} ${epoch} is held on ${host.name} after its source has run on`);
      }
  }

  #newest(host: SimHost, side: 'source' | 'target'): JournalEntry | null {
    const entries = [...host.journal.values()].filter((entry) => entry.side === side && !entry.closed);
    return entries.sort((a, b) => b.updatedAt - a.updatedAt)[0] ?? null;
  }

  #wasDecided = (migration: string, epoch: number, decision: Decision): boolean =>
    this.#votes.get(`${migration} ${epoch}`)?.has(decision) === true;

  #broken(promise: string, text: string): void {
    if (this.violations.some((known) => known.text === text)) return;
    this.violations.push({ promise, text, at: Math.round(this.#world.time.elapsed) });
  }
}

const RESTORABLE: readonly Phase[] = ['PREPARED', 'HELD', 'COMMITTED'];

const said = (entry: JournalEntry | null | undefined): string =>
  entry == null ? 'nothing' : `${entry.migration} ${entry.epoch} ${entry.phase}`;
