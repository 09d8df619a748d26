/** What helps to understand a cell that failed: logs, journals and events, copied before its lab goes down. */
import { hostOf, labExec } from '@cmt/lab';
import { copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failureText, type Outcome } from './report.ts';
import type { Site } from './site.ts';

const STATE = 'tail -n +1 /var/lib/cmt/journal/*.json; runc list; nft list ruleset; ps -ef; find /run/cmt';

/** Writes everything below `directory`, in a folder of the cell's name. */
export async function keepEvidence(directory: string, { fleet }: Site, outcome: Outcome): Promise<void> {
  const own = join(directory, outcome.cell.name.replaceAll(':', '_'));
  await mkdir(own, { recursive: true });
  await writeFile(join(own, 'failure.txt'), failureText(outcome));
  await writeFile(join(own, 'events.json'), JSON.stringify(outcome.seen.events, undefined, 1));
  await copyFile(join(fleet.stateDir, 'coordinator.log'), join(own, 'coordinator.log')).catch(
    () => undefined,
  );
  for (const { name } of fleet.lab.hosts) {
    await cp(join(hostOf(fleet.lab, name).dir, 'log'), join(own, name), { recursive: true });
    const { stdout } = await labExec(fleet.lab, name, ['sh', '-c', STATE]);
    await writeFile(join(own, `${name}.txt`), stdout);
  }
}
