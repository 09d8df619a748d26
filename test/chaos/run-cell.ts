/**
 * One cell: a migration, a fault at its moment, and everything seen until it has ended.
 *
 * INVARIANTS
 * - Who watches began before the migration was asked for.
 * - What the fault changed is changed back before this resolves, whatever happened.
 * - The time of the fault's end is taken after the last of it has been undone.
 */
import { isEnd, type MigrationEvent, type MigrationReport } from '@cmt/contracts';
import { follow, readSaga } from '@cmt/queue';
import { setTimeout as pause } from 'node:timers/promises';
import { conversationGoesOn } from '../support/peer.ts';
import { newId } from '../support/fleet.ts';
import { leftAfterMoves, processesBelow, settled } from '../support/left-behind.ts';
import { differences } from '../support/leftovers.ts';
import { pendingInRedis } from '../support/queue-leftovers.ts';
import { isUnbroken, readTicks, strayTicks } from '../support/ticks.ts';
import type { Cell } from './cells.ts';
import { faults } from './faults/index.ts';
import { NothingStruck, type Aimed } from './faults/fault.ts';
import { flagsOf, forgetHooks, hookRuns, isMoment } from './moments.ts';
import { CONTAINER, otherHost, type Site } from './site.ts';
import { FORGOTTEN, isAlive, mayLoseConnections, type Seen } from './verdict.ts';

/** Milliseconds that a migration gets after the fault, and to come to its moment at all. */
const END_MS = 240_000;
const ASK_MS = 30_000;
/** Milliseconds that nobody must know of a migration until it counts as forgotten: journals take their time to be read. */
const FORGET_MS = 30_000;
const LOOK_MS = 200;

/** The course of one migration under a fault. */
interface Course {
  readonly id: string;
  readonly events: MigrationEvent[];
  struckAt: number | null;
  healedAt: number | null;
  endedAt: number;
  error: string | null;
}

/** @param tell is told what is being waited for: a check that hangs can be found */
export async function runCell(
  site: Site,
  cell: Cell,
  signal: AbortSignal,
  tell: (doing: string) => void,
): Promise<Seen> {
  const [source, target] = [site.here, otherHost(site)];
  const course: Course = {
    id: newId(),
    events: [],
    struckAt: null,
    healedAt: null,
    endedAt: Infinity,
    error: null,
  };
  tell('asking the witness');
  const begun = await site.witness.report();
  const ticks = (await readTicks(site.fleet.lab, source, CONTAINER)).length;
  await forgetHooks(site.hooks);
  tell('migrating');
  const ended = await migrateUnderFault(site, cell, course, signal, tell);
  const { state, message } = ended;
  const endedAt = Math.min(course.endedAt, Date.now());
  if (state === 'done') site.here = target;
  tell('asking the witness where it runs');
  const runs = isSettled(state) && isAlive(await site.witness.report());
  tell('talking with the container');
  const connections = runs && !mayLoseConnections(cell, course) ? await brokenConnections(site) : [];
  tell('comparing ticks');
  const history = runs ? await brokenHistory(site, ticks) : [];
  tell('looking for leftovers');
  const leftovers = await whatIsLeft(site, runs ? 'all' : 'below');
  const { copies, intervals } = await site.witness.report();
  const known = Math.max(0, begun.intervals.length - 2);
  return {
    ...{ source, target, state, message, endedAt, copies, connections, history, leftovers },
    ...{ struckAt: course.struckAt, healedAt: course.healedAt, error: course.error },
    events: course.events,
    intervals: intervals.slice(known),
  };
}

type State = Seen['state'];

/** The migration says that all is as it should be. */
const isSettled = (state: State): boolean =>
  state !== null && state !== FORGOTTEN && state !== 'needs-operator';

async function migrateUnderFault(
  site: Site,
  cell: Cell,
  course: Course,
  signal: AbortSignal,
  tell: (doing: string) => void,
): Promise<{ state: State; message: string | null }> {
  const over = new AbortController();
  const limit = AbortSignal.any([over.signal, signal]);
  const scene = { ...sceneOf(site, cell), over: limit };
  const aimed = await faults[cell.fault](scene);
  let struck: Promise<void> | undefined;
  const strikeOnce = (): void => {
    struck ??= strike(site, aimed, course);
  };
  const watching = watch(site, cell, course, { limit, strikeOnce });
  try {
    await ask(site, cell, course.id, scene);
    tell('waiting for the end');
    const report = await endOf(site, course.id, signal);
    course.endedAt = Date.now();
    return { state: report === FORGOTTEN ? FORGOTTEN : (report?.state ?? null), message: messageOf(report) };
  } catch (error) {
    signal.throwIfAborted();
    course.error = String(error);
    return { state: null, message: null };
  } finally {
    over.abort();
    tell('ending the watch');
    await Promise.allSettled([watching]);
    tell('ending the fault');
    await struck;
    if (aimed.lasts === true && struck !== undefined) await aimed.heal();
  }
}

const messageOf = (report: MigrationReport | typeof FORGOTTEN | null): string | null =>
  report === null || report === FORGOTTEN ? null : report.message;

const sceneOf = (site: Site, { station }: Cell) => ({
  fleet: site.fleet,
  container: CONTAINER,
  source: site.here,
  target: otherHost(site),
  station,
});

async function strike(site: Site, aimed: Aimed, course: Course): Promise<void> {
  try {
    const { at, lab } = await aimed.strike();
    course.struckAt = at;
    if (lab !== undefined) site.fleet = { ...site.fleet, lab };
    if (aimed.lasts === true) return;
    await aimed.heal();
    course.healedAt = Date.now();
  } catch (error) {
    if (!(error instanceof NothingStruck)) course.error = String(error);
  }
}

interface Watching {
  readonly limit: AbortSignal;
  readonly strikeOnce: () => void;
}

/** Notes every event and strikes at the moment. */
async function watch(site: Site, cell: Cell, course: Course, { limit, strikeOnce }: Watching): Promise<void> {
  const { row } = cell.station;
  if (cell.when === 'during' && row.kind === 'hook')
    void hookRuns(site.hooks, row.name, limit).then((runs) => runs && strikeOnce());
  for await (const event of follow(site.fleet.redis, course.id, true, limit)) {
    course.events.push(event);
    if (isMoment(cell, event)) strikeOnce();
  }
}

async function ask(
  { fleet, hooks }: Site,
  { station }: Cell,
  id: string,
  { source, target }: { source: string; target: string },
): Promise<void> {
  const where = ['--id', id, '--src', source, '--dst', target];
  const argv = ['migrate', CONTAINER, ...where, ...flagsOf(station.way, hooks), '--detach'];
  const asked = await fleet.cmt(argv, ASK_MS);
  // A fault that takes Redis away may take the answer with it; whether it was heard shows in what follows.
  if (!asked.ok && asked.error?.code !== 'REDIS_UNREACHABLE')
    throw new Error(`cmt migrate --detach: ${asked.error?.message ?? ''}`);
}

/** The report at the end; null when it does not end, FORGOTTEN when nobody knows it any more. Redis may be away meanwhile. */
async function endOf(
  { fleet }: Site,
  id: string,
  signal: AbortSignal,
): Promise<MigrationReport | typeof FORGOTTEN | null> {
  const deadline = Date.now() + END_MS;
  let knownAt = Date.now();
  while (Date.now() < deadline) {
    const saga = await readSaga(fleet.redis, id).catch(() => undefined);
    if (saga !== null) knownAt = Date.now();
    if (saga && isEnd(saga.report.state)) return saga.report;
    if (Date.now() - knownAt > FORGET_MS) return FORGOTTEN;
    await pause(LOOK_MS, undefined, { signal });
  }
  return null;
}

/** What the client says. */
async function brokenConnections({ peer }: Site): Promise<string[]> {
  const wrong: string[] = [];
  try {
    const said = await conversationGoesOn(peer);
    if (said.connectionsLost > 0) wrong.push(`${said.connectionsLost} connections were lost`);
    if (said.called.wrong > 0) wrong.push(`${said.called.wrong} answers were wrong`);
  } catch (error) {
    wrong.push(String(error));
  }
  return wrong;
}

/** What the ticks from inside say: one history without a break, from the `from`th on. */
async function brokenHistory(site: Site, from: number): Promise<string[]> {
  const { fleet, here } = site;
  const wrong: string[] = [];
  const elsewhere = await readTicks(fleet.lab, otherHost(site), CONTAINER, from);
  const now = await readTicks(fleet.lab, here, CONTAINER, from);
  if (strayTicks(elsewhere, now).length > 0)
    wrong.push('ticks of two copies: both ran on from the same point');
  if (now.length <= elsewhere.length) wrong.push('the copy that should run does not tick');
  if (!isUnbroken(now, from)) wrong.push('its ticks are not one history');
  return wrong;
}

/** @param where `below`: an operator is waited for, or the container is gone, and the hosts need not be as they were */
async function whatIsLeft({ fleet, before, machineBefore }: Site, where: 'all' | 'below'): Promise<string[]> {
  const { lab, stateDir, redis } = fleet;
  const onHosts = where === 'all' ? await leftAfterMoves(lab, before) : [];
  const below = await settled(async () => {
    const now = await processesBelow(lab, stateDir);
    return differences('the machine', new Map([['processes', machineBefore]]), new Map([['processes', now]]));
  });
  const names = lab.hosts.map(({ name }) => name);
  const pending = where === 'all' ? await settled(() => pendingInRedis(redis, names)) : [];
  return [...[...onHosts, ...below].map((difference) => JSON.stringify(difference)), ...pending];
}
