/** The two programs that start cmt by hand and as a service, with a node that only says how it was called. */
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COORDINATOR_NODE_FLAGS, run, WORKER_NODE_FLAGS } from '@cmt/host';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inCheckout } from '../support/cmt.ts';

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cmt-wrappers-'));
  await Promise.all(['bin', 'runtime', 'dist', 'lib'].map((name) => mkdir(join(root, name))));
  await writeFile(join(root, 'runtime/node'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 });
  await writeFile(join(root, 'dist/cli.js'), '');
  await cp(inCheckout('bin/cmt'), join(root, 'bin/cmt'));
  await cp(inCheckout('packaging/cmt.sh'), join(root, 'bin/packed'));
});

afterAll(() => rm(root, { recursive: true, force: true }));

const argvOf = async (program: string, ...args: string[]): Promise<string> => {
  const env = { PATH: `${join(root, 'runtime')}:/usr/bin:/bin` };
  const { stdout } = await run('sh', [join(root, 'bin', program), ...args], { timeoutMs: 10_000, env });
  return stdout.trim();
};

it.each([
  ['cmt', 'dist'],
  ['packed', 'lib'],
])(
  '%s starts a worker and a coordinator with little memory, and every other verb as it is',
  async (program, folder) => {
    const cli = join(root, folder, 'cli.js');
    expect(await argvOf(program, 'worker', '--name', 'a')).toBe(
      `${WORKER_NODE_FLAGS.join(' ')} ${cli} worker --name a`,
    );
    expect(await argvOf(program, 'coordinator', '--redis', 'x')).toBe(
      `${COORDINATOR_NODE_FLAGS.join(' ')} ${cli} coordinator --redis x`,
    );
    expect(await argvOf(program, 'ps')).toBe(`${cli} ps`);
    expect(await argvOf(program)).toBe(cli);
  },
);
