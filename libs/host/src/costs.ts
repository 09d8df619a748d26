/**
 * What hand-overs have cost this host inside the blackout, kept for the predictions of those to come. Nothing is the worse for
 * a measurement that is lost: two that are written at once may leave one.
 */
import { join } from 'node:path';
import { HostCosts, KEPT_COSTS, type Cost } from '@cmt/contracts';
import type { StepContext } from './context.ts';
import type { Files } from './machine.ts';

const NONE: HostCosts = { dump: [], files: [], readying: [], restore: [] };

/** What was measured here before; null when nothing was, or it cannot be read. */
export async function readCosts(stateDir: string, files: Pick<Files, 'readText'>): Promise<HostCosts | null> {
  const text = await files.readText(costsFile(stateDir)).catch(() => null);
  if (text === null) return null;
  const read = HostCosts.safeParse(parsed(text));
  return read.success ? read.data : null;
}

/** Adds measurements, one of a kind; the oldest goes. Never throws. */
export async function noteCosts(
  { config, machine, tell }: StepContext,
  measured: Partial<Record<keyof HostCosts, Cost>>,
): Promise<void> {
  const before = (await readCosts(config.stateDir, machine.files)) ?? NONE;
  const added = (kind: keyof HostCosts): Cost[] =>
    [...(before[kind] ?? []), ...(measured[kind] === undefined ? [] : [measured[kind]])].slice(-KEPT_COSTS);
  const costs: HostCosts = {
    ...{ dump: added('dump'), files: added('files') },
    ...{ readying: added('readying'), restore: added('restore') },
  };
  await machine.files.writeText(costsFile(config.stateDir), JSON.stringify(costs)).catch((error: unknown) => {
    tell({ kind: 'warning', text: `what this move has cost cannot be kept: ${String(error)}` });
  });
}

const costsFile = (stateDir: string): string => join(stateDir, 'costs.json');

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
