/** When a fault strikes: told by the migration's own events, and by a marker that a running hook leaves. */
import type { MigrationEvent } from '@cmt/contracts';
import type { Row } from '@cmt/saga';
import { mkdir, rm, watch, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cell } from './cells.ts';
import type { Way } from './rows.ts';

/** Whether an event marks the cell's moment. For a hook under way there is no event: see {@link hookRuns}. */
export function isMoment({ fault, station: { row, previous }, when }: Cell, event: MigrationEvent): boolean {
  switch (when) {
    case 'before':
      return isJustBefore(previous, event);
    case 'during':
      // A tool is looked for before it is there.
      if (/(criu|runc|restore)$/.test(fault)) return isJustBefore(previous, event);
      return row.kind === 'step' && event.kind === 'step-started' && event.step === row.name;
    case 'after':
      return endsRow(row, event);
  }
}

const isJustBefore = (previous: Row | null, event: MigrationEvent): boolean =>
  previous === null ? event.kind === 'state' && event.text === 'queued' : endsRow(previous, event);

/** Whether an event says that the row is over. */
export const endsRow = ({ kind, name }: Row, event: MigrationEvent): boolean =>
  event.step === name && event.kind === (kind === 'hook' ? 'hook' : 'step-ended');

/** Long enough to be struck while it runs, and far shorter than a lock. */
const HOOK_SECONDS = '0.5';

/** Hooks of these tests: each leaves a file of its name when it begins. */
export interface Hooks {
  readonly directory: string;
  readonly program: string;
}

export async function makeHooks(stateDir: string): Promise<Hooks> {
  const directory = join(stateDir, 'hooks-begun');
  const program = join(stateDir, 'hook.sh');
  await writeFile(program, `: > "$1/$CMT_HOOK" && sleep ${HOOK_SECONDS}\n`);
  return { directory, program };
}

/** The flags of `cmt migrate` that make a migration go this way. */
export function flagsOf(way: Way, { program, directory }: Hooks): string[] {
  const passing = `sh ${program} ${directory}`;
  const hooks: Readonly<Record<Way, Readonly<Record<string, string>>>> = {
    plain: {},
    hooked: { 'pre-freeze': passing, 'pre-restore': passing, 'post-restore': passing },
    back: { 'pre-restore': '/bin/false', 'failed-restore': passing, 'rolled-back': passing },
  };
  return Object.entries(hooks[way]).flatMap(([name, program]) => [`--hook-${name}`, program]);
}

/** Resolves when the hook of this name has begun; never when it does not begin before the signal aborts. */
export async function hookRuns({ directory }: Hooks, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    for await (const { filename } of watch(directory, { signal })) if (filename === name) return true;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  return false;
}

/** To be called before every migration. */
export async function forgetHooks({ directory }: Hooks): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
}
