/** What a machine needs to be worked on: this cmt as it was built, in one folder named after its content. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

export interface WorkerBundle {
  /** Folder of `cli.js` here. */
  readonly directory: string;
  /** Relative to it, sorted. */
  readonly files: readonly string[];
  /** Of names and content: 16 hex digits of SHA-256. */
  readonly hash: string;
}

/** Bundles of these are of no use on another machine. */
const LEFT_OUT = /^(lab|demo|counting-client|witness-process|board)\.js$|\.map$|^\./;

/** Reads what was built. @param directory the one with `cli.js` in it */
export async function workerBundle(directory: string): Promise<WorkerBundle> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1))
    .filter((name) => !LEFT_OUT.test(name))
    .sort();
  const hash = createHash('sha256');
  for (const name of files) hash.update(`${name}\0${await hashOf(join(directory, name))}\0`);
  return { directory, files, hash: hash.digest('hex').slice(0, 16) };
}

/** SHA-256 of a file, in hex. */
export async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
