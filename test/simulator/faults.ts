/** What goes wrong in a simulated run, and when: small enough to be printed and shrunk. */
import type { HostNode, Node, Role } from './world.ts';

/**
 * At the n-th await of a process of that role, or the first one for that, before it takes place or when its answer is on the way;
 * or at a time.
 */
export type Trigger =
  | { readonly role: Role; readonly nth: number; readonly when: 'before' | 'after' }
  | { readonly role: Role; readonly first: string; readonly when: 'before' | 'after' }
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
  /** An operator looks, and gives his word about the side on that host if a migration waits for one. */
  | { readonly kind: 'resolve'; readonly word: Word }
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

/**
 * An operator's word that a host is fenced, and what he has done to it before: switched it off or, where its copy stood still,
 * taken it off the network; or nothing, though he says so. Later somebody brings it back.
 */
export interface Word {
  readonly host: HostNode;
  readonly by: 'power' | 'network' | 'nothing';
  readonly backAfterMs: number;
}

/** One who looks at what waits for him, so long after it has begun to. */
export interface Operator extends Word {
  readonly afterMs: number;
}

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
  /** Null: nobody looks. */
  readonly operator: Operator | null;
  readonly faults: readonly Fault[];
}

/** The same fault at an earlier moment. */
export function sooner({ trigger, deed }: Fault): Fault {
  if ('atMs' in trigger) return { deed, trigger: { atMs: Math.floor(trigger.atMs / 2) } };
  if ('first' in trigger) return { deed, trigger };
  // Of several processes none may be answered before another has begun to wait.
  if (trigger.nth === 1) return { deed, trigger: { ...trigger, when: 'before' } };
  return { deed, trigger: { ...trigger, nth: Math.ceil(trigger.nth / 2) } };
}
