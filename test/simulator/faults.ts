/** What goes wrong in a simulated run, and when: drawn from the seed, and small enough to be printed and shrunk. */
import { Random as Dice, type Random } from './virtual-time.ts';
import type { HostNode, Node, Role } from './world.ts';

/** At the n-th await of a process of that role, before it takes place or when its answer is on the way; or at a time. */
export type Trigger =
  | { readonly role: Role; readonly nth: number; readonly when: 'before' | 'after' }
  | { readonly atMs: number };

export type Deed =
  | { readonly kind: 'kill'; readonly role: Role; readonly backAfterMs: number }
  /** SIGSTOP, then SIGCONT. */
  | { readonly kind: 'stop'; readonly role: Role; readonly forMs: number }
  | { readonly kind: 'power'; readonly host: HostNode; readonly forMs: number }
  | {
      readonly kind: 'cut';
      readonly from: Node;
      readonly to: Node;
      readonly bothWays: boolean;
      readonly forMs: number;
    }
  | { readonly kind: 'redis-crash'; readonly losesMs: number; readonly downMs: number }
  | { readonly kind: 'redis-stop'; readonly forMs: number }
  /** It never comes back, and nobody who coordinates does: whoever asked has gone with his machine. */
  | { readonly kind: 'client-gone' }
  /** It comes back with nothing in it. */
  | { readonly kind: 'redis-emptied'; readonly downMs: number }
  | { readonly kind: 'cancel' }
  /** Somebody asks for the container to be moved once more, there or back. */
  | { readonly kind: 'again'; readonly from: HostNode }
  /** The queue delivers what is under way a second time. */
  | { readonly kind: 'duplicate'; readonly host: HostNode }
  /** The queue delivers a leg that was delivered long ago: the one at that share of all of them. */
  | { readonly kind: 'replay'; readonly host: HostNode; readonly share: number }
  /** The next restore on that host fails. */
  | { readonly kind: 'restore-fails'; readonly host: HostNode }
  /** The effect takes place, and its answer is lost. */
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'fail' }
  /** No answer until the caller gives up. */
  | { readonly kind: 'hang' };

export interface Fault {
  readonly trigger: Trigger;
  readonly deed: Deed;
}

export interface Scenario {
  readonly seed: number;
  /** appendfsync always; otherwise Redis may lose its last second. */
  readonly redisKeepsEveryWrite: boolean;
  readonly preRestoreHook: boolean;
  readonly coordinators: 1 | 2;
  readonly faults: readonly Fault[];
}

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
    faults: [],
  };
  const awaits = awaitsOf(setting);
  // Of dice of its own: what other seeds mean stays as it was.
  const gone = new Dice(seed ^ 0x2c1b3c6d);
  if (gone.chance(0.06)) return { ...setting, faults: drawClientGone(gone, awaits) };
  if (random.chance(0.15)) return { ...setting, faults: drawTwoAtOnce(random, awaits) };
  if (random.chance(0.08)) return { ...setting, faults: drawLateCommand(random) };
  const count = random.chance(0.4) ? 1 : random.whole(2, MOST_FAULTS);
  return { ...setting, faults: Array.from({ length: count }, () => drawFault(random, awaits)) };
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
  switch (random.whole(0, 15)) {
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
    default:
      return { trigger: { role, nth, when: 'before' }, deed: { kind: random.chance(0.5) ? 'fail' : 'hang' } };
  }
}

/** The same fault at an earlier moment. */
export function sooner({ trigger, deed }: Fault): Fault {
  if ('atMs' in trigger) return { deed, trigger: { atMs: Math.floor(trigger.atMs / 2) } };
  return { deed, trigger: { ...trigger, nth: Math.ceil(trigger.nth / 2) } };
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
