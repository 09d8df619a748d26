/**
 * One migration from its first to its last event: load -> decide -> dispatch -> record -> repeat.
 *
 * INVARIANTS
 * - A state is stored before anything is done because of it; one because of which nothing is done may be stored with the next.
 * - Commands are started once per task id; a coordinator that takes over joins what is under way.
 * - A leg that the saga no longer asks for is stopped only after ABORT is on record: until then it may have committed.
 */
import { CmtError, messageOf, type Failure, type LegResult } from '@cmt/contracts';
import { Postponed } from '@cmt/queue';
import {
  decide,
  evolve,
  hookContext,
  report,
  stateOf,
  type Command,
  type Saga,
  type SagaEvent,
} from '@cmt/saga';
import { Inbox } from './inbox.ts';
import { MustWait } from './must-wait.ts';
import type { LegOrder, Ports } from './ports.ts';

type Running = Exclude<Command, { kind: 'finish' }>;

/** What was started, by its task id; null once it has ended. */
type Flights = Map<string, AbortController | null>;

const LET_GO = new Error('the coordinator lets go of the migration');

/**
 * Drives a saga to its end. Rejects when `signal` aborts or the migration belongs to somebody else now, and with `Postponed` when
 * it has to wait before it begins.
 * @param word what happens first: an operator's word to a saga that had ended without a decision
 */
export async function runMigration(
  begun: Saga,
  ports: Ports,
  signal: AbortSignal,
  word: SagaEvent | null = null,
): Promise<Saga> {
  const inbox = new Inbox<SagaEvent>();
  const flights: Flights = new Map();
  const unsubscribe = ports.onCancel((reason) => inbox.put({ kind: 'cancel', reason, at: ports.now() }));
  ports.onTuned((tuning) => inbox.put({ kind: 'tune', tuning, at: ports.now() }));
  let saga = begun;
  try {
    if (word !== null) saga = await happen(saga, word, ports);
    while (saga.end === null) {
      launch(saga, ports, flights, inbox);
      const before = saga;
      const event = await inbox.next(signal);
      saga = await happen(saga, event, ports);
      // Its job makes room for another; it comes back when it is called, or after a while.
      if (event.kind === 'must-wait') throw new Postponed(event.reason, event.ms);
      if (saga === before) continue;
      if (saga.decision === 'ABORT' || saga.end !== null) stopUnwanted(saga, flights);
    }
    return saga;
  } finally {
    unsubscribe();
    for (const flight of flights.values()) flight?.abort(LET_GO);
  }
}

/** The saga after an event, stored and told to those who watch. */
async function happen(saga: Saga, event: SagaEvent, ports: Ports): Promise<Saga> {
  const next = evolve(saga, event);
  if (next === saga) return saga;
  if (!isHalfAnAnswer(event, saga, next)) await ports.save(next, report(next, ports.now()));
  announce(saga, next, ports);
  return next;
}

/** One of two legs has ended, and the other is waited for. Who takes over asks for both, and finds what came of the first in its job. */
function isHalfAnAnswer(event: SagaEvent, before: Saga, after: Saga): boolean {
  if (event.kind !== 'leg-ended' || after.stage !== before.stage) return false;
  const asked = new Set(decide(before).map((command) => idOf(command, before)));
  return decide(after).every((command) => asked.has(idOf(command, after)));
}

/** Starts what the saga asks for and is not under way. */
function launch(saga: Saga, ports: Ports, flights: Flights, inbox: Inbox<SagaEvent>): void {
  for (const command of decide(saga)) {
    if (command.kind === 'finish' || flights.has(idOf(command, saga))) continue;
    const flight = new AbortController();
    const id = idOf(command, saga);
    flights.set(id, flight);
    const landed = (tell: () => void): void => {
      flights.set(id, null);
      if (!flight.signal.aborted) tell();
    };
    void perform(command, saga, ports, flight.signal).then(
      (event) => landed(() => inbox.put(event)),
      (error: unknown) => landed(() => inbox.fail(error)),
    );
  }
}

function stopUnwanted(saga: Saga, flights: Flights): void {
  const wanted = new Set(decide(saga).map((command) => idOf(command, saga)));
  for (const [id, flight] of flights)
    if (flight !== null && !wanted.has(id))
      flight.abort(new CmtError('CANCELLED', { reason: saga.cancelled ?? 'the migration turns back' }));
}

const idOf = (command: Command, saga: Saga): string =>
  'task' in command ? command.task : `${command.kind}.${saga.epoch}.${saga.stage}`;

/** One command to its event. */
async function perform(command: Running, saga: Saga, ports: Ports, signal: AbortSignal): Promise<SagaEvent> {
  switch (command.kind) {
    case 'look-up':
      return await lookUp(saga, ports);
    case 'leg':
      return await runLeg(command, saga, ports, signal);
    case 'hook':
      return {
        kind: 'hook-ended',
        task: command.task,
        outcome: await ports.runHook(command.hook, hookContext(saga, command.hook.name), signal),
        at: ports.now(),
      };
    case 'settle': {
      const decision = await ports.settle(command.epoch, command.vote, signal);
      return { kind: 'settled', epoch: command.epoch, decision, at: ports.now() };
    }
    case 'resolution':
      await ports.resolve(command.resolution, signal);
      return { kind: 'recorded', at: ports.now() };
    case 'continuity':
      return { kind: 'continuity', unbroken: await ports.continuity(command.mark, signal), at: ports.now() };
  }
}

async function lookUp(saga: Saga, ports: Ports): Promise<SagaEvent> {
  try {
    return { kind: 'looked-up', ...(await ports.lookUp(saga)), at: ports.now() };
  } catch (error) {
    if (error instanceof MustWait)
      return { kind: 'must-wait', reason: error.reason, ms: error.ms, at: ports.now() };
    return { kind: 'look-up-failed', failure: failureOf(error), at: ports.now() };
  }
}

async function runLeg(
  command: Extract<Command, { kind: 'leg' }>,
  saga: Saga,
  ports: Ports,
  signal: AbortSignal,
): Promise<SagaEvent> {
  const wait = command.notBefore - ports.now();
  if (wait > 0) await ports.wait(wait, signal);
  try {
    const { results }: LegResult = await ports.dispatch(orderOf(command, saga), signal);
    return { kind: 'leg-ended', task: command.task, results, at: ports.now() };
  } catch (error) {
    return { kind: 'leg-lost', task: command.task, failure: failureOf(error), at: ports.now() };
  }
}

const orderOf = (command: Extract<Command, { kind: 'leg' }>, saga: Saga): LegOrder => ({
  task: command.task,
  migration: saga.request.id,
  host: command.host,
  epoch: saga.epoch,
  try: command.try,
  calls: command.calls,
  limitMs: command.limitMs,
  patience: command.patience,
});

/** A failure that the catalogue knows; anything else is a broken coordinator and must not look like a broken step. */
function failureOf(error: unknown): Failure {
  if (error instanceof CmtError) return error.failure;
  throw error;
}

function announcePlacing(before: Saga, after: Saga, ports: Ports): void {
  for (const { host, failure } of after.passedOver.slice(before.passedOver.length))
    ports.tell('note', `${host} is passed over: ${messageOf(failure)}`, 'validate');
  if (after.placement !== null && after.placement !== before.placement)
    ports.tell('note', after.placement.why, 'look-up');
  if (after.waitsFor !== null && after.waitsFor !== before.waitsFor)
    ports.tell('note', `waits: ${after.waitsFor}`, 'look-up');
}

const shareWords = (share: number | null): string =>
  share === null
    ? 'the links between its hosts have no limit any more'
    : `its share of the links between its hosts is ${(share / 1e6).toFixed(1)} MB/s`;

function announce(before: Saga, after: Saga, ports: Ports): void {
  if (after.failure !== null && after.failure !== before.failure)
    ports.tell('warning', messageOf(after.failure), before.stage);
  announcePlacing(before, after, ports);
  const share = after.tuning?.share ?? null;
  if (share !== (before.tuning?.share ?? null)) ports.tell('note', shareWords(share), after.stage);
  if (after.roundsNote !== null && before.roundsNote === null)
    ports.tell('note', after.roundsNote, 'pre-dump');
  for (const hook of after.hooks.slice(before.hooks.length))
    ports.tell(
      'hook',
      `${hook.name} ${hook.ok ? 'ended well' : 'failed'}: ${hook.output.slice(-500)}`,
      hook.name,
    );
  const state = stateOf(after);
  if (state !== stateOf(before)) ports.tell('state', state, after.stage);
}
