/** `lab.json`: what `up` means to make, written before it is made. Who holds the lab's lock may write it. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rename, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_STATE_ROOT, type Lab } from './lab.ts';
import { LabError } from './lab-error.ts';
import { removeTree } from './mounts.ts';

/** @returns undefined when there is no lab in this directory. */
export async function readLab(stateDir: string): Promise<Lab | undefined> {
  const file = join(stateDir, 'lab.json');
  const text = existsSync(file) ? await readFile(file, 'utf8') : undefined;
  if (text === undefined) return undefined;
  const lab = JSON.parse(text) as Lab;
  // Types forget at run time that another cmt may have written this.
  if ((lab.version as number) !== 1) throw new LabError(`${stateDir} belongs to another version of cmt`);
  return lab;
}

/** Replaces the state in one step: a reader sees the old or the new, never half. */
export async function writeLab(lab: Lab): Promise<Lab> {
  await mkdir(lab.stateDir, { recursive: true, mode: 0o700 });
  const file = join(lab.stateDir, 'lab.json');
  await writeFile(`${file}.new`, `${JSON.stringify(lab, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  return lab;
}

/**
 * Removes what cmt put into a state directory, its own file last, and the directory if nothing else is in it:
 * a wrongly typed path loses nothing.
 * @throws {LabError} when something is mounted below it, or something of somebody else's is in it.
 */
export async function removeState(stateDir: string): Promise<void> {
  if (!existsSync(stateDir)) return;
  const parts = existsSync(join(stateDir, 'lab.json')) ? ['hosts', 'ssh'] : [];
  for (const part of [...parts, 'lab.json.new', 'lab.json']) await removeTree(join(stateDir, part));
  await rmdir(stateDir).catch(() => {
    throw new LabError(`${stateDir} is kept: there are files in it that are not the lab's`);
  });
}

/** The labs below a directory, also those that are not up (`ready` false, or hosts that are gone). */
export async function labLs(stateRoot: string = DEFAULT_STATE_ROOT): Promise<Lab[]> {
  const names = await readdir(stateRoot).catch(() => []);
  const labs = await Promise.all(names.map((name) => readLab(join(stateRoot, name)).catch(() => undefined)));
  return labs.filter((lab) => lab !== undefined);
}
