/** Rules with one deliberate fault each: a simulator that does not catch every one of them proves nothing. */
import type { Side, StepName, StepOutput } from '@cmt/contracts';
import type { StepContext } from '../../libs/host/src/context.ts';
import type { Journal, JournalEntry } from '../../libs/host/src/journal.ts';
import { CONTAINER } from './sim-host.ts';
import { realRules, type Rules } from './rules.ts';
import type { SimProcess } from './sim-process.ts';
import { migrationKey, type MigrationJob } from './sim-queue.ts';

/** A variant, and the promises of which at least one must be seen broken. */
export interface BrokenRules {
  readonly name: string;
  readonly rules: Rules;
  readonly breaks: readonly string[];
}

const variant = (name: string, breaks: readonly string[], change: Partial<Rules>): BrokenRules => ({
  name,
  breaks,
  rules: { ...realRules, ...change },
});

export const brokenRules: readonly BrokenRules[] = [
  variant('the gate opens without COMMIT', ['H1', 'one copy'], {
    decisions: (decisions) => ({
      ...decisions,
      settle: (migration, epoch, vote, signal) =>
        vote === 'COMMIT' ? Promise.resolve('COMMIT') : decisions.settle(migration, epoch, vote, signal),
    }),
  }),
  variant('the last vote wins', ['H1', 'H2', 'H3', 'one copy'], { firstVoteWins: false }),
  variant('an answer that is lost counts as ABORT', ['H2', 'one copy', 'memory'], {
    decisions: (decisions) => ({
      ...decisions,
      read: (migration, epoch, signal) =>
        decisions.read(migration, epoch, signal).catch(() => 'ABORT' as const),
    }),
    step: resumesAtOnce,
  }),
  variant('Redis stands in for a silent target, whatever it has lost', ['H6', 'one copy'], {
    isContinuous: () => true,
  }),
  variant('the target withdraws without writing it down', ['H1', 'H2', 'H6', 'one copy'], {
    withdraw: async (_, { journal, migration }) => {
      const entry = await journal.read(migration);
      return entry?.phase === 'HELD' || entry?.phase === 'PREPARED' ? 'ABORT' : 'UNKNOWN';
    },
  }),
  variant('the journal is written after the act', ['H4', 'one copy'], { journal: writesLate }),
  variant('the epoch is not checked', ['H4', 'one copy', 'memory'], {
    context: (context) => ({ ...context, journal: anyEpoch(context) }),
    checksEpoch: false,
  }),
  variant('the journal is not made durable', ['H4', 'H7', 'one copy', 'end'], { syncsJournal: false }),
  variant('the source is retired without asking', ['one copy', 'memory'], { step: retiresEarly }),
  variant('a fenced host does not ask whether it is', ['H8', 'one copy'], {
    decisions: (decisions, who) => ({
      ...decisions,
      resolution: async (migration, signal) => {
        const word = await decisions.resolution(migration, signal);
        return word !== null && sideOf(who, migration) === word.fenced ? null : word;
      },
    }),
  }),
  variant('a fenced copy is thrown away before the other runs', ['one copy', 'H4', 'end'], {
    decisions: (decisions) => ({
      ...decisions,
      resolution: async (migration, signal) => {
        const word = await decisions.resolution(migration, signal);
        return word === null ? null : { ...word, over: true };
      },
    }),
  }),
  variant('nothing is cleaned up', ['H7'], { step: cleansNothing }),
];

/** The side that the host of a process is on. */
const sideOf = ({ world, role }: SimProcess, migration: string): Side =>
  world.redis.get<MigrationJob>(migrationKey(migration))?.request.source === role ? 'source' : 'target';

type AnyStep = (input: unknown, context: StepContext) => Promise<unknown>;

/** A frozen source that hears nothing for a while runs on by itself: the time-out that H5 forbids. */
function resumesAtOnce<S>(name: StepName, step: S): S {
  if (name !== 'final-sync') return step;
  return (async (input: unknown, context: StepContext) => {
    try {
      return await (step as AnyStep)(input, context);
    } catch (error) {
      const entry = await context.journal.read(context.migration);
      if (entry?.phase === 'FROZEN') await context.journal.write({ ...entry, phase: 'RESUMED' });
      await context.runtimes.get('runc').resume(CONTAINER, context.signal);
      throw error;
    }
  }) as S;
}

function retiresEarly<S>(name: StepName, step: S): S {
  if (name !== 'final-sync') return step;
  return (async (input: unknown, context: StepContext) => {
    const output = await (step as AnyStep)(input, context);
    const entry = await context.journal.read(context.migration);
    if (entry !== null) await context.journal.write({ ...entry, phase: 'RETIRED' });
    await context.runtimes.get('runc').destroy(CONTAINER, context.signal);
    return output;
  }) as S;
}

function cleansNothing<S>(name: StepName, step: S): S {
  return name === 'clean' ? ((() => Promise.resolve({} satisfies StepOutput<'clean'>)) as S) : step;
}

/** The answer comes at once, the write a little later, if the process lives that long. */
function writesLate(journal: Journal, who: SimProcess): Journal {
  const pending = new Map<string, JournalEntry>();
  return {
    ...journal,
    read: async (migration) => pending.get(migration) ?? (await journal.read(migration)),
    write: (entry) => {
      pending.set(entry.migration, entry);
      who.after(5, () => void journal.write(entry).catch(() => undefined));
      return Promise.resolve();
    },
  };
}

/** Every entry seems to be of the epoch of whoever reads it. */
const anyEpoch = ({ journal, epoch }: StepContext): Journal => ({
  ...journal,
  read: async (migration) => {
    const entry = await journal.read(migration);
    return entry === null ? null : { ...entry, epoch };
  },
});
