/** What placing needs to know of a host and its containers. */
import type { ContainerSummary } from '@cmt/contracts';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withMemory } from './container-memory.ts';
import { parseCpu } from './cpu.ts';

describe('parseCpu', () => {
  it.each([
    [
      'processor\t: 0\nmodel name\t: Xeon @ 2 GHz\nflags\t\t: sse fpu avx\n\nprocessor\t: 1\nflags\t\t: fpu\n',
      { model: 'Xeon @ 2 GHz', flags: ['avx', 'fpu', 'sse'] },
    ],
    ['CPU part\t: 0xd0c\nFeatures\t: fp asimd\n', { model: '0xd0c', flags: ['asimd', 'fp'] }],
    ['nothing known', null],
  ])('%j', (text, cpu) => expect(parseCpu(text)).toEqual(cpu));
});

describe('withMemory', () => {
  let proc = '';
  const process = async (pid: number, parent: number, lines: string): Promise<void> => {
    await mkdir(join(proc, `${pid}`));
    await writeFile(join(proc, `${pid}`, 'status'), `Name:\tx\nPPid:\t${parent}\n${lines}`);
  };
  const container = (id: string, pid: number): ContainerSummary => ({
    ...{ id, pid, runtime: 'runc', status: pid === 0 ? 'stopped' : 'running', bundle: '/b' },
  });

  beforeAll(async () => {
    proc = await mkdtemp(join(tmpdir(), 'cmt-proc-'));
    await process(1, 0, 'RssAnon:\t 1000 kB\n');
    await process(10, 1, 'RssAnon:\t   8 kB\nRssFile:\t 500 kB\nRssShmem:\t   2 kB\n');
    await process(11, 10, 'RssAnon:\t   4 kB\nVmSwap:\t   1 kB\n');
    await process(12, 11, '');
    await process(20, 1, 'RssAnon:\t   3 kB\n');
  });
  afterAll(() => rm(proc, { recursive: true }));

  it('counts init and all below it, anonymous, shared and swapped', async () => {
    const found = await withMemory([container('a', 10), container('b', 20), container('off', 0)], proc);
    expect(found.map(({ memory }) => memory)).toEqual([15 * 1024, 3 * 1024, undefined]);
  });

  it('says nothing of what has just ended', async () => {
    expect(await withMemory([container('gone', 99)], proc)).toEqual([container('gone', 99)]);
  });
});
