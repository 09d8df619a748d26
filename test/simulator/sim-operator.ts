/** Operators of the simulated world: they look at what waits for them, fence a host, and give their word (`cmt resolve`). */
import type { Operator, Word } from './faults.ts';
import { migrationKey, type MigrationJob } from './sim-queue.ts';
import type { World } from './world.ts';

const LOOK_MS = 3_000;
/** One whose words come to nothing gives up. */
const MOST_WORDS = 3;

export class SimOperator {
  /** Words that were given. */
  words = 0;
  /** Somebody has said of a host that lived on that it was fenced: that no two copies run is his to answer for. */
  hasErred = false;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Looks until something waits, and gives his word after a while. */
  watch(operator: Operator): void {
    if (this.words >= MOST_WORDS || this.#world.clientIsGone) return;
    this.#world.time.after(LOOK_MS, () => {
      if (this.#waiting() === null) return this.watch(operator);
      this.#world.later(operator.afterMs, () => {
        this.resolve(operator);
        this.watch(operator);
      });
    });
  }

  /** As `cmt resolve`: he looks first, then does to the host what he says that he has done, then gives his word. */
  resolve({ host: name, by, backAfterMs }: Word): void {
    const world = this.#world;
    const job = world.redis.isUp ? this.#waiting() : null;
    if (job === null) return;
    this.words += 1;
    const host = world.host(name);
    if (by === 'nothing') this.hasErred ||= host.isUp;
    else if (by === 'network' && host.copy?.status !== 'running') world.unplug(name, backAfterMs);
    else world.power(name, backAfterMs);
    const { id, source } = job.request;
    const word = source === name ? 'source' : 'target';
    world.notes.push(`${Math.round(world.time.elapsed)} word about ${id}: ${word} fenced by ${by}`);
    world.redis.set(migrationKey(id), { ...job, isDone: false, lock: null, word });
  }

  #waiting(): MigrationJob | null {
    const { asked, redis } = this.#world;
    const jobs = asked.map((id) => redis.get<MigrationJob>(migrationKey(id)));
    return jobs.find((job) => job?.isDone === true && job.state?.end === 'needs-operator') ?? null;
  }
}
