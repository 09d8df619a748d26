/** Files that were to take another's place by a rename, and did not: their writer was killed in between. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { WorkerConfig } from '@cmt/contracts';

const DRAFT = /\.(tmp|new)$/;

/**
 * Removes what killed workers had begun to write in the state directory and in the directories of it; for a worker that knows itself
 * alone on its host, before it writes anything. Nobody ever reads a draft, so one that cannot be removed harms nobody.
 */
export async function forgetDrafts({ stateDir }: Pick<WorkerConfig, 'stateDir'>): Promise<void> {
  const entries = await readdir(stateDir, { withFileTypes: true });
  const below = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(stateDir, name));
  await Promise.all([stateDir, ...below].map(forgetIn));
}

async function forgetIn(directory: string): Promise<void> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const drafts = entries.filter((entry) => entry.isFile() && DRAFT.test(entry.name));
  await Promise.all(drafts.map(({ name }) => rm(join(directory, name)).catch(() => undefined)));
}
