/** What this CPU is and can do, as the kernel tells it (proc_cpuinfo(5)). */
import { readFile } from 'node:fs/promises';
import type { HostFacts } from '@cmt/contracts';

/** Null where the kernel does not say. */
export async function cpuOf(proc = '/proc'): Promise<NonNullable<HostFacts['cpu']> | null> {
  return parseCpu(await readFile(`${proc}/cpuinfo`, 'utf8').catch(() => ''));
}

/** The first processor stands for all: `flags` on x86, `Features` on ARM. Flags come sorted. */
export function parseCpu(text: string): NonNullable<HostFacts['cpu']> | null {
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1];
  if (flags === undefined) return null;
  const model = /^(?:model name|Hardware|CPU part)\s*:\s*(.*)$/m.exec(text)?.[1] ?? 'unknown';
  return { model: model.trim(), flags: flags.split(/\s+/).filter(Boolean).sort() };
}
