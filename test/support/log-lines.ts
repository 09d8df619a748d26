/** What the processes of a lab have logged: JSON lines. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listDaemons } from '@cmt/lab';
import { z } from 'zod';
import type { Fleet } from './fleet.ts';

const Line = z.looseObject({ process: z.string(), msg: z.string(), migration: z.string().optional() });
export type LogLine = z.infer<typeof Line>;

/** Of the coordinator and of every worker, as far as they have come. */
export async function logLines({ stateDir, lab }: Fleet): Promise<LogLine[]> {
  const daemons = await Promise.all(lab.hosts.map(({ name }) => listDaemons(lab, name)));
  const workers = daemons.flat().filter(({ name }) => name === 'worker');
  const files = [join(stateDir, 'coordinator.log'), ...workers.map(({ logFile }) => logFile)];
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  return texts.flatMap((text) =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Line.parse(JSON.parse(line))),
  );
}
