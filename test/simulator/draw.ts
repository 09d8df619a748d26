/** The scenario of a seed: what goes wrong in its run is drawn from it. */
import type { Deed, Fault, Operator, Scenario, Trigger, Word } from './faults.ts';
import { Random as Dice, type Random } from './virtual-time.ts';
import type { HostNode, Role } from './world.ts';

/** Awaits of each role in a run without faults. */
export type Awaits = Readonly<Record<Role, number>>;

const ROLES: readonly Role[] = ['alpha', 'beta', 'coordinator'];
const MOST_FAULTS = 4;
/** Milliseconds in which an undisturbed run has ended. */
const RUN_MS = 2_500;

/** The scenario of a seed. @param awaitsOf how many awaits there are to choose from */
export function draw(seed: number, random: Random, awaitsOf: (scenario: Scenario) => Awaits): Scenario {
  const setting: Scenario = {
    seed,
    redisKeepsEveryWrite: random.chance(0.5),
    preRestoreHook: random.chance(0.3),
    coordinators: random.chance(0.3) ? 2 : 1,
    operator: drawOperator(new Dice(seed ^ 0x7ed558cc)),
    faults: [],
  };
  const awaits = awaitsOf(setting);
  const stuck = new Dice(seed ^ 0x165667b1);
  if (stuck.chance(0.06)) return drawWaiting(setting, stuck, awaits);
  const turning = new Dice(seed ^ 0x3c6ef372);
  if (turning.chance(0.04)) return { ...setting, faults: drawAtTurningPoint(turning, awaits) };
  // Of dice of its own: what other seeds mean stays as it was.
  const gone = new Dice(seed ^ 0x2c1b3c6d);
  if (gone.chance(0.06)) return { ...setting, faults: drawClientGone(gone, awaits) };
  if (random.chance(0.15)) return { ...setting, faults: drawTwoAtOnce(random, awaits) };
  if (random.chance(0.08)) return { ...setting, faults: drawLateCommand(random) };
  const count = random.chance(0.4) ? 1 : random.whole(2, MOST_FAULTS);
  return { ...setting, faults: Array.from({ length: count }, () => drawFault(random, awaits)) };
}

/** Nobody can decide, and somebody comes who does. */
function drawWaiting(setting: Scenario, random: Random, awaits: Awaits): Scenario {
  const waiting = random.chance(0.1) ? drawGoneWhileDeciding(random) : drawStuck(random, awaits);
  return { ...setting, redisKeepsEveryWrite: false, ...waiting };
}

/** What a target waits for from its vote to the opening of its gate. */
const DECIDING = ['redis decision settle', 'network attach', 'gate open'] as const;

/** The target's worker is away from its decision on for longer than the thirty tries that are made, and is back after the word. */
function drawGoneWhileDeciding(random: Random): Pick<Scenario, 'operator' | 'faults'> {
  const when = random.chance(0.5) ? 'before' : 'after';
  const trigger: Trigger = { role: 'beta', first: random.pick(DECIDING), when };
  const backAfterMs = Math.round(random.between(780_000, 900_000));
  const by = random.chance(0.8) ? 'network' : 'power';
  return {
    operator: {
      host: 'beta',
      by,
      backAfterMs: duration(random),
      afterMs: Math.round(random.between(0, 10_000)),
    },
    faults: [{ trigger, deed: { kind: 'kill', role: 'beta', backAfterMs } }],
  };
}

/** A host is gone from the blackout on, for longer than anybody waits; an operator comes, mostly about that host. */
function drawStuck(random: Random, awaits: Awaits): Pick<Scenario, 'operator' | 'faults'> {
  const host = drawHost(random);
  const nth = random.whole(Math.floor(0.5 * awaits[host]), Math.floor(0.97 * awaits[host]));
  const trigger: Trigger = { role: host, nth, when: random.chance(0.5) ? 'before' : 'after' };
  const gone = drawGone(random, host).map((deed) => ({ trigger, deed }));
  const word = drawWord(random);
  return {
    operator: {
      ...word,
      host: random.chance(0.8) ? host : word.host,
      afterMs: Math.round(random.between(0, 20_000)),
    },
    faults: random.chance(0.5) ? [...gone, drawFault(random, awaits)] : gone,
  };
}

function drawGone(random: Random, host: HostNode): Deed[] {
  const forMs = Math.round(random.between(50_000, 150_000));
  const apart = ['redis', host === 'alpha' ? 'beta' : 'alpha'] as const;
  return random.pick<Deed[]>([
    [{ kind: 'power', host, forMs }],
    [{ kind: 'kill', role: host, backAfterMs: forMs }],
    apart.map((to) => ({ kind: 'cut', from: host, to, bothWays: true, forMs })),
  ]);
}

const drawOperator = (random: Random): Operator | null =>
  random.chance(0.6) ? { ...drawWord(random), afterMs: Math.round(random.between(0, 20_000)) } : null;

/** Of the words of operators one in eight is not true. */
function drawWord(random: Random): Word {
  const by = random.chance(0.12) ? 'nothing' : random.pick(['power', 'network'] as const);
  return { host: drawHost(random), by, backAfterMs: duration(random) };
}

/** What the two sides of a first move wait for where a copy stops, is decided upon, or runs. */
const TURNING_POINTS: readonly { readonly role: HostNode; readonly first: string }[] = [
  { role: 'alpha', first: 'runtime pause' },
  { role: 'alpha', first: 'link go' },
  { role: 'alpha', first: 'runtime destroy' },
  { role: 'beta', first: 'redis decision settle' },
  { role: 'beta', first: 'gate open' },
];

/** Something happens there, and nobody hears of it, or only late; once in two times something else goes wrong as well. */
function drawAtTurningPoint(random: Random, awaits: Awaits): Fault[] {
  const point = random.pick(TURNING_POINTS);
  const { role } = point;
  const deed = random.pick<Deed>([
    { kind: 'lose-answer' },
    { kind: 'kill', role, backAfterMs: duration(random) },
    { kind: 'stop', role, forMs: duration(random) },
    { kind: 'cut', from: role, to: 'redis', bothWays: random.chance(0.5), forMs: duration(random) },
  ]);
  const fault: Fault = { trigger: { ...point, when: 'after' }, deed };
  return random.chance(0.5) ? [fault, drawFault(random, awaits)] : [fault];
}

/** The client's machine vanishes; once in three times something else has gone wrong before. */
function drawClientGone(random: Random, awaits: Awaits): Fault[] {
  const role = random.pick(['alpha', 'beta'] as const);
  // Most of what can happen here happens in the blackout.
  const nth = random.whole(Math.floor(0.4 * awaits[role]), Math.floor(0.97 * awaits[role]));
  const when = random.chance(0.5) ? 'before' : 'after';
  const gone: Fault = { trigger: { role, nth, when }, deed: { kind: 'client-gone' } };
  return random.chance(0.33) ? [drawFault(random, awaits), gone] : [gone];
}

/** Redis forgets, and who has just been answered is not there to say it again. */
function drawTwoAtOnce(random: Random, awaits: Awaits): Fault[] {
  const role = random.pick(['alpha', 'beta'] as const);
  const trigger: Trigger = { role, nth: random.whole(1, Math.floor(0.97 * awaits[role])), when: 'after' };
  const losesMs = Math.round(random.between(5, 1_000));
  const gone: Deed = random.chance(0.5)
    ? { kind: 'kill', role, backAfterMs: duration(random) }
    : { kind: 'cut', from: role, to: 'redis', bothWays: true, forMs: duration(random) };
  const crash: Deed = { kind: 'redis-crash', losesMs, downMs: Math.round(random.between(50, 2_000)) };
  return [
    { trigger, deed: crash },
    { trigger, deed: gone },
  ];
}

/** A switch is undone, and a command of its epoch comes when the next one is under way or all is over. */
function drawLateCommand(random: Random): Fault[] {
  const late: Deed = { kind: 'replay', host: drawHost(random), share: random.next() };
  return [
    { trigger: { atMs: 0 }, deed: { kind: 'restore-fails', host: drawHost(random) } },
    { trigger: { atMs: Math.round(random.between(200, RUN_MS)) }, deed: late },
  ];
}

function drawFault(random: Random, awaits: Awaits): Fault {
  const role = random.pick(ROLES);
  const nth = random.whole(1, Math.floor(0.97 * awaits[role]));
  const when = random.chance(0.5) ? 'before' : 'after';
  const atThatAwait: Trigger = { role, nth, when };
  const anywhere: Trigger = random.chance(0.7)
    ? atThatAwait
    : { atMs: Math.round(random.between(0, RUN_MS)) };
  switch (random.whole(0, 16)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return { trigger: atThatAwait, deed: { kind: 'kill', role, backAfterMs: duration(random) } };
    case 4:
      return {
        trigger: anywhere,
        deed: { kind: 'kill', role: random.pick(ROLES), backAfterMs: duration(random) },
      };
    case 5:
      return { trigger: anywhere, deed: { kind: 'stop', role: random.pick(ROLES), forMs: duration(random) } };
    case 6:
      return { trigger: anywhere, deed: { kind: 'power', host: drawHost(random), forMs: duration(random) } };
    case 7:
      return { trigger: anywhere, deed: drawCut(random) };
    case 8:
      return { trigger: anywhere, deed: drawRedis(random) };
    case 9:
      return { trigger: anywhere, deed: { kind: 'cancel' } };
    case 10:
      return { trigger: anywhere, deed: { kind: 'again', from: drawHost(random) } };
    case 11:
      return { trigger: anywhere, deed: { kind: 'duplicate', host: drawHost(random) } };
    case 12:
      return { trigger: anywhere, deed: { kind: 'replay', host: drawHost(random), share: random.next() } };
    case 13:
      return { trigger: anywhere, deed: { kind: 'restore-fails', host: drawHost(random) } };
    case 14:
      return { trigger: { role, nth, when: 'after' }, deed: { kind: 'lose-answer' } };
    case 15:
      return { trigger: anywhere, deed: { kind: 'resolve', word: drawWord(random) } };
    default:
      return { trigger: { role, nth, when: 'before' }, deed: { kind: random.chance(0.5) ? 'fail' : 'hang' } };
  }
}

const drawHost = (random: Random): HostNode => random.pick(['alpha', 'beta'] as const);

/** Short ones, ones about as long as a lock, and long ones. */
function duration(random: Random): number {
  const [low, high] = random.pick([
    [50, 2_000],
    [5_000, 16_000],
    [16_000, 70_000],
  ] as const);
  return Math.round(random.between(low, high));
}

function drawCut(random: Random): Deed {
  const [from, to] = random.pick([
    ['alpha', 'beta'],
    ['alpha', 'redis'],
    ['beta', 'redis'],
    ['control', 'redis'],
  ] as const);
  const reversed = random.chance(0.5);
  return {
    kind: 'cut',
    from: reversed ? to : from,
    to: reversed ? from : to,
    bothWays: random.chance(0.6),
    forMs: duration(random),
  };
}

function drawRedis(random: Random): Deed {
  const ms = duration(random);
  switch (random.whole(0, 4)) {
    case 0:
      return { kind: 'redis-emptied', downMs: ms };
    case 1:
      return { kind: 'redis-stop', forMs: ms };
    default:
      return { kind: 'redis-crash', losesMs: Math.round(random.between(0, 1_000)), downMs: ms };
  }
}
