/** Where legs are worked on: gives each step its context, and tells log and watchers what happens. */
import type { Leg, LegResult, MigrationEvent, MigrationId, StepName } from '@cmt/contracts';
import {
  forMigration,
  orphans,
  settle,
  settleAlone,
  settleFencedSides,
  steps,
  type Decisions,
  type JournalEntry,
  type Phase,
  type Settlement,
  type StepContext,
  type Steps,
  type Told,
  type WithdrawAnswers,
  PeerSettler,
  withdrawFrom,
} from '@cmt/host';
import { LegEvents, span, type LegLease } from '@cmt/queue';
import type { Logger } from 'pino';
import { CLOSED_TOLD_MS } from './host-record.ts';
import type { Host } from './host.ts';
import { runLeg } from './run-step.ts';

export interface DeskParts {
  readonly host: Host;
  readonly decisions: Decisions;
  readonly logger: Logger;
  /** Sends events of one migration to those who watch; never waits, never fails. */
  readonly send: (...events: [MigrationEvent, ...MigrationEvent[]]) => void;
  /** Tells what must not be and is; never waits, never fails. */
  readonly raiseAlarm: (migration: MigrationId, text: string) => void;
}

type ToldOfStep = Omit<Told, 'kind'> & Pick<MigrationEvent, 'kind' | 'step'>;

/** Closed entries of the journal are kept this long, for whoever asks what happened. Milliseconds. */
const KEEP_CLOSED_MS = 30 * 24 * 3600 * 1000;

/** Longest that one entry may take to be settled at the start. Milliseconds. */
const SETTLE_LIMIT_MS = 60_000;

/** Source, then target. A frozen copy whose other copy was let go keeps nobody waiting. */
const STANDING_STILL: readonly Phase[] = ['FROZEN', 'HELD', 'COMMITTED', 'RUNNING'];

/** Longest wait for the record of a frozen copy. Milliseconds. */
const DECISION_LIMIT_MS = 1_000;

export class Desk {
  readonly #parts: DeskParts;
  readonly #underWay = new Map<string, readonly string[]>();

  readonly #peers: PeerSettler;

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#peers = new PeerSettler({ open: () => this.#open() }, (entry) => this.#settling(entry));
  }

  /** Steps of the legs under way, by leg. */
  underWay(): Record<string, readonly string[]> {
    return Object.fromEntries(this.#underWay);
  }

  get isBusy(): boolean {
    return this.#underWay.size > 0;
  }

  /** Runs one leg to its end. */
  async run(leg: Leg, lease: LegLease): Promise<LegResult> {
    const { host, logger, send } = this.#parts;
    const log = forMigration(logger, leg.migration).child({ leg: lease.legId, epoch: leg.epoch });
    const events = new LegEvents(send);
    lease.onOver(() => events.flush());
    const tell = (told: ToldOfStep) => events.tell(this.#event(leg.migration, told));
    const names = leg.calls.map(({ step }) => step);
    this.#underWay.set(lease.legId, names);
    log.info({ steps: names }, 'takes the leg');
    try {
      return await runLeg({
        leg,
        host: host.config.name,
        signal: lease.signal,
        steps: this.#spanned(leg.migration),
        clock: host.machine.clock,
        contextFor: ({ step }, signal) => this.#context({ ...leg, step, signal, log, tell }),
        onStarted: (step) => tell({ kind: 'step-started', step, text: step }),
        onEnded: (result, sentence) => {
          log.info({ step: result.step, ok: result.ok, ms: Math.round(result.ms) }, sentence);
          tell({ kind: 'step-ended', step: result.step, text: sentence });
        },
        onBroken: (step, error) => log.error({ step, err: error }, 'a step broke'),
      });
    } finally {
      this.#underWay.delete(lease.legId);
    }
  }

  /** The steps, each as a span of the migration's trace. */
  #spanned(migration: MigrationId): Steps {
    const facts = { 'cmt.migration': migration, 'cmt.host': this.#parts.host.config.name };
    const each = Object.entries(steps) as [StepName, (...args: never[]) => Promise<unknown>][];
    return Object.fromEntries(
      each.map(([name, run]) => [name, (...args: never[]) => span(name, facts, () => run(...args))]),
    ) as unknown as Steps;
  }

  /** Settles what the journal says is open, and says in the log what is left or cannot be read. */
  async settleJournal(): Promise<void> {
    const { host, logger } = this.#parts;
    for (const failure of await host.journal.unreadable())
      logger.error({ err: failure }, 'unreadable journal');
    for (const settlement of await settle(host.journal, this.#settling)) this.#tellSettled(settlement);
    for (const path of await orphans(host.config, host.journal))
      logger.warn({ path }, 'images of no migration');
    await host.journal.prune(KEEP_CLOSED_MS);
  }

  /** Takes away what is left of migrations that went on without this host, and raises the alarm where a copy runs. */
  async settleFencedSides(): Promise<void> {
    const settled = await settleFencedSides(this.#parts.host.journal, this.#settling);
    for (const settlement of settled) if (settlement.outcome !== 'waits') this.#tellSettled(settlement);
  }

  /** What this host says to sources that ask it to withdraw. */
  readonly answers: WithdrawAnswers = {
    keyOf: async (migration) => {
      const entry = await this.#parts.host.journal.read(migration);
      return entry?.side === 'target' ? (entry.peerKey ?? null) : null;
    },
    withdraw: async (migration, epoch) => {
      const entry = await this.#parts.host.journal.read(migration);
      if (entry === null) return { verdict: 'UNKNOWN', tidy: () => Promise.resolve() };
      const verdict = await withdrawFrom(epoch, this.#settling(entry));
      forMigration(this.#parts.logger, migration).warn({ epoch, verdict }, 'the source asked to withdraw');
      return { verdict, tidy: verdict === 'ABORT' ? () => this.#tidy(entry) : () => Promise.resolve() };
    },
    mayBeAsked: async () => (await this.#open()).some(({ side }) => side === 'target'),
  };

  /** What a failure leaves, the next start finds in the journal. */
  async #tidy(entry: JournalEntry): Promise<void> {
    const { runtime, container, bundle, network, migration } = entry;
    await steps
      .discard({ subject: { runtime, container, bundle }, network }, this.#settling(entry))
      .catch((error: unknown) =>
        forMigration(this.#parts.logger, migration).warn(
          { err: error },
          'what was withdrawn is not all gone',
        ),
      );
  }

  /** Brings to its end what a client has left that is gone for good. */
  async settleAlone(): Promise<void> {
    for (const entry of await this.#open()) {
      const { migration, phase } = entry;
      const log = forMigration(this.#parts.logger, migration);
      try {
        if (await settleAlone(entry, this.#settling(entry)))
          log.warn({ phase }, 'ended here: its client is gone');
      } catch (error) {
        log.warn({ phase, err: error }, 'its client is gone, and it cannot be ended here');
      }
    }
  }

  #open = async (): Promise<JournalEntry[]> =>
    (await this.#parts.host.journal.recent(CLOSED_TOLD_MS)).filter(({ closed }) => !closed);

  /** Lets frozen containers run on that Redis cannot speak for, and of which no other copy will ever run. */
  async settleWithPeers(): Promise<void> {
    for (const { entry, verdict, error } of await this.#peers.look()) {
      const { migration, container, epoch } = entry;
      const log = forMigration(this.#parts.logger, migration);
      if (error === undefined)
        log.warn({ container, epoch, verdict }, 'settled without Redis, with the other host');
      else
        log.warn(
          { container, epoch, err: error },
          'stands frozen: neither Redis nor the other host can be asked',
        );
    }
  }

  /** Open hand-overs in which a container stands still, or has only just been let go. */
  async standingStill(): Promise<JournalEntry[]> {
    const { host, decisions } = this.#parts;
    const entries = (await host.journal.open()).filter(({ phase }) => STANDING_STILL.includes(phase));
    const signal = AbortSignal.timeout(DECISION_LIMIT_MS);
    const isOurs = async ({ phase, migration, epoch }: JournalEntry): Promise<boolean> =>
      phase !== 'FROZEN' || (await decisions.read(migration, epoch, signal).catch(() => null)) !== 'COMMIT';
    const ours = await Promise.all(entries.map(isOurs));
    return entries.filter((_, at) => ours[at]);
  }

  #settling = (entry: JournalEntry): StepContext => {
    const log = forMigration(this.#parts.logger, entry.migration);
    const signal = AbortSignal.timeout(SETTLE_LIMIT_MS);
    const tell = (told: ToldOfStep) => this.#parts.send(this.#event(entry.migration, told));
    return this.#context({ ...entry, step: 'settle', signal, log, tell });
  };

  #tellSettled({ migration, text, ...facts }: Settlement): void {
    const isBad = facts.outcome === 'failed' || facts.outcome === 'alarm';
    forMigration(this.#parts.logger, migration)[isBad ? 'error' : 'info'](facts, text);
    if (facts.outcome === 'alarm') this.#parts.raiseAlarm(migration, text);
  }

  #context(
    own: Pick<StepContext, 'migration' | 'epoch' | 'signal'> & {
      step: string;
      log: Logger;
      tell: (told: ToldOfStep) => void;
    },
  ): StepContext {
    const { host, decisions } = this.#parts;
    const { migration, epoch, signal, step, log, tell } = own;
    const { config, endpoint, machine, journal, runtimes, network, links, receiver } = host;
    return {
      ...{ config, endpoint, machine, journal, runtimes, network, links, receiver, decisions },
      ...{ migration, epoch, signal },
      tell: (told) => {
        log[told.kind === 'warning' ? 'warn' : 'debug'](
          { step, done: told.done, total: told.total },
          told.text,
        );
        tell({ ...told, step });
      },
    };
  }

  #event(migration: MigrationId, told: ToldOfStep): MigrationEvent {
    const { config } = this.#parts.host;
    const text = told.text.slice(0, 4096);
    return { ...told, v: 1, migration, at: Date.now(), host: config.name, text };
  }
}
