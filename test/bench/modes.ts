/**
 * The ways to move a container that are compared. One line each; a way that this build or this kernel does not have says why.
 *
 * To add a mode of cmt it takes its flags; a way of another tool implements `Mode`.
 */
import { cmtMode } from './cmt-mode.ts';
import type { Engine } from './engine.ts';
import { lazyPages } from './lazy-mode.ts';
import { podmanExport, podmanPreCheckpoint } from './podman-modes.ts';
import { floor, original, script } from './script-modes.ts';
import type { Site } from './site.ts';

/** What a way knows of its own move. Bytes are of images; what went over the wire is measured outside. */
export interface Moved {
  readonly imageBytes: number | null;
  /** CRIU's own freezing, frozen and restoring, in milliseconds. */
  readonly criuMs: number | null;
  /** What of the blackout was cmt's own, in milliseconds. */
  readonly ownMs: number | null;
  /** Milliseconds in which memory followed the running container; null where none did. */
  readonly drainMs: number | null;
  /** Where its time went, by its own account, in words. */
  readonly says?: string;
}

export interface Mode {
  readonly name: string;
  /** Which holds what it moves. */
  readonly engine: Engine;
  /** Null, or why it is not measured here. */
  unavailable(site: Pick<Site, 'fleet'>): Promise<string | null>;
  /** What can be done before: not measured. */
  prepare?(site: Site, from: string, to: string): Promise<void>;
  /** Moves the container, and leaves nothing at its old place that stands in the way of coming back. */
  move(site: Site, from: string, to: string): Promise<Moved>;
  /** Whether it ends where it began. */
  readonly stays?: true;
}

export const modes: readonly Mode[] = [
  cmtMode('cmt', []),
  cmtMode('cmt complete', ['--restore', 'complete']),
  // Elsewhere that is what `cmt` does by itself.
  cmtMode('cmt stop-and-copy', ['--mode', 'stop-and-copy'], 'mem_dirty_track'),
  cmtMode('cmt pre-copy', ['--mode', 'pre-copy'], 'mem_dirty_track'),
  cmtMode('cmt post-copy', ['--mode', 'post-copy'], 'uffd-noncoop'),
  cmtMode('cmt hybrid', ['--mode', 'hybrid'], 'mem_dirty_track'),
  script,
  lazyPages,
  original,
  podmanExport,
  podmanPreCheckpoint,
  floor,
];
