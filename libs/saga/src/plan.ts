/**
 * The plan: every row of one migration, in order. Read this file to know what a migration does.
 * `docs/lifecycle.md`, the CLI's progress list and the crash suite are derived from it.
 */
import type { HookName, StepName } from '@cmt/contracts';

export interface Row {
  readonly name: StepName | HookName;
  readonly kind: 'step' | 'hook';
  /** Which host works; hooks run where they ask to, by default beside the coordinator. */
  readonly side: 'source' | 'target' | 'both' | 'coordinator';
  /** The step that takes this one back when something fails before the decision. */
  readonly undo: 'discard' | 'resume' | null;
  /** True for what stands between the freeze and the release. */
  readonly blackout: boolean;
  readonly does: string;
}

const step = (name: StepName, side: Row['side'], does: string, more: Partial<Row> = {}): Row => ({
  name,
  kind: 'step',
  side,
  undo: null,
  blackout: false,
  does,
  ...more,
});

const hook = (name: HookName, does: string, more: Partial<Row> = {}): Row => ({
  name,
  kind: 'hook',
  side: 'coordinator',
  undo: null,
  blackout: false,
  does,
  ...more,
});

export const plan: readonly Row[] = [
  step('inspect', 'source', 'looks at the running container: size, sockets, mounts, what CRIU would refuse'),
  step('validate', 'target', 'compares both hosts; soft findings become warnings with --force'),
  step('prepare', 'target', 'reserves id, address, space and images directory; opens the receiver', {
    undo: 'discard',
  }),
  step('sync-files', 'source', 'carries the bundle and its root filesystem while the container runs'),
  step('pre-dump', 'source', 'sends memory while the container runs, as many rounds as help'),
  hook('pre-freeze', 'the last word before the blackout'),
  step(
    'freeze-and-dump',
    'source',
    'freezes in memory, shuts the network, dumps; images stream to the target',
    {
      undo: 'resume',
      blackout: true,
    },
  ),
  step('final-sync', 'source', 'carries the files that changed since sync-files', { blackout: true }),
  hook('pre-restore', 'may refuse the restore', { blackout: true }),
  step('restore-and-hold', 'target', 'restores completely, held behind a gate: not one instruction runs', {
    undo: 'discard',
    blackout: true,
  }),
  step('release', 'target', 'makes the decision COMMIT, attaches the network, opens the gate', {
    blackout: true,
  }),
  step(
    'confirm',
    'target',
    'the container runs, still runs after --confirm-for, and all its memory is there',
  ),
  hook('post-restore', 'the container runs on the target'),
  step('retire', 'source', 'the frozen copy dies, still cut off from the network'),
  step('clean', 'both', 'images, links, listeners and reservations are gone'),
];

/** Rows of the way back, in order. */
export const undoPlan: readonly Row[] = [
  step('discard', 'target', 'the held copy and all that was reserved is gone; ABORT is journalled'),
  step('resume', 'source', 'the frozen container runs on, its network attached again'),
  step('clean', 'both', 'images, links, listeners and reservations are gone'),
  hook('failed-restore', 'the migration failed, the container runs on the source'),
  hook('rolled-back', 'everything is as it was'),
];
