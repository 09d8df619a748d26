/** A PATH on which only some of the machine's programs are. */
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes `dir` and links the named programs of /usr/bin into it. @returns `dir` */
export async function pathWith(dir: string, tools: readonly string[]): Promise<string> {
  await mkdir(dir, { recursive: true });
  for (const tool of tools) await symlink(`/usr/bin/${tool}`, join(dir, tool));
  return dir;
}
