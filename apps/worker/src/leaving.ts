/**
 * A worker that a client started over ssh ends by itself when nobody needs it any more, and leaves nothing but its journal.
 *
 * INVARIANT: while a hand-over is open in the journal it stays, whoever is away: it may be the one who has to let a container run.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { AgentlessConfig } from '@cmt/contracts';
import { removeTree, type FileJournal } from '@cmt/host';
import { CLOSED_TOLD_MS } from './host-record.ts';
import type { QueueService } from './serve-queue.ts';

const LOOK_MS = 1_000;

/** Resolves with the reason when it is time to go; never for a worker that was started for good. */
export async function untilNotNeeded(
  agentless: AgentlessConfig | undefined,
  queue: Pick<QueueService, 'health' | 'settleAlone'>,
  journal: Pick<FileJournal, 'recent'>,
): Promise<string> {
  if (agentless === undefined) return await new Promise<never>(() => undefined);
  let [usedAt, heardAt] = [performance.now(), performance.now()];
  for (;;) {
    await pause(LOOK_MS, undefined, { ref: false });
    const now = performance.now();
    const { redis, legs } = queue.health() as { redis?: string; legs?: object };
    if (redis === 'ready') heardAt = now;
    const isIdle = Object.keys(legs ?? {}).length === 0 && !(await hasOpen(journal));
    if (!isIdle) usedAt = now;
    if (isIdle && now - usedAt > agentless.idleMs) return 'nothing was asked of it for a while';
    const isAway = now - heardAt > agentless.awayMs;
    if (isIdle && isAway) return 'its client is gone';
    if (isAway) await queue.settleAlone();
  }
}

/** Removes the folders of such a worker, unless the next one will need them to find an open hand-over. */
export async function leaveNothing(
  agentless: AgentlessConfig | undefined,
  journal: Pick<FileJournal, 'recent'>,
): Promise<void> {
  if (agentless === undefined || (await hasOpen(journal))) return;
  await removeTree(agentless.sockets);
  await removeTree(agentless.home);
}

const hasOpen = async (journal: Pick<FileJournal, 'recent'>): Promise<boolean> =>
  (await journal.recent(CLOSED_TOLD_MS)).some(({ closed }) => !closed);
