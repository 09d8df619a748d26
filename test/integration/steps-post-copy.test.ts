/** Pages that follow from the source, step by step: whoever serves them outlives what it should, and nothing else. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { notesDir } from '../../libs/host/src/places.ts';
import { isAlive } from '../../libs/host/src/proc.ts';
import { steps } from '../../libs/host/src/steps/index.ts';
import { tunable, tune } from '../../libs/host/src/steps/tuning.ts';
import { thisMachine } from '../../libs/host/src/this-machine.ts';
import { Daemon } from '../support/paper-daemon.ts';
import { MIGRATION } from '../support/paper-host.ts';
import { container, failure, inputs, on, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();
let daemon: Daemon;
beforeEach(() => {
  daemon = new Daemon();
});
afterEach(() => daemon.end());

const onTarget = () => ({ ...hosts().target.context(), machine: { ...thisMachine, lazyPages: daemon } });
const its = () => inputs(hosts().source, hosts().target);

const hold = () => steps['restore-and-hold']({ ...its().hold, lazy: true, postCopy: true }, onTarget());
const freeze = () => steps['freeze-and-dump']({ ...its().freeze, postCopy: true }, hosts().source.context());
const release = () => steps.release(its().onTarget, onTarget());
const confirm = () => steps.confirm({ subject: on(hosts().target), confirmForMs: 0 }, onTarget());

async function held() {
  await hosts().prepare();
  await hosts().syncFiles();
  const holding = hold();
  const frozen = await freeze();
  await hosts().finalSync();
  return { frozen, held: await holding };
}

/** Whoever serves at the source. */
async function server(): Promise<{ pid: number; startTime: string }> {
  const { config } = hosts().source.parts;
  const text = await readFile(join(notesDir(config, MIGRATION, 1), 'page-server.json'), 'utf8');
  return JSON.parse(text) as { pid: number; startTime: string };
}

describe('a container whose pages follow from the source', () => {
  test('is served until it is confirmed, and then retired', async () => {
    const outcome = await held();
    expect(outcome).toMatchObject({ frozen: { postCopy: true }, held: { lazy: true } });
    expect(daemon.follows).toBe(true);
    expect(await release()).toMatchObject({ decision: 'COMMIT' });
    const confirmed = vi.fn();
    const confirming = confirm().then(confirmed);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(confirmed).not.toHaveBeenCalled();
    expect(await isAlive(await server())).toBe(true);
    daemon.stands = 'drained';
    await confirming;
    await hosts().retire();
    expect(await hosts().source.runtime.list()).toEqual([]);
  });

  test.each(['the same worker', 'another worker'])(
    'is served no longer when it runs on by %s',
    async (who) => {
      await held();
      const serves = await server();
      daemon.stands = 'lost';
      await expect(release()).rejects.toEqual(failure('HELD_COPY_DIED'));
      if (who === 'another worker') hosts().source = await hosts().source.restarted();
      await hosts().undo();
      expect(await isAlive(serves)).toBe(false);
      await hosts().expectSourceAsBefore();
      await hosts().expectNothingOnTarget();
    },
  );

  test.each(['the same worker', 'another worker'])('is served as fast as %s is told', async (who) => {
    await held();
    if (who === 'another worker') hosts().source = await hosts().source.restarted();
    const { parts } = hosts().source;
    const path = join(notesDir(parts.config, MIGRATION, 1), 'page-rate.json');
    expect(await tunable(parts).has(MIGRATION)).toBe(true);
    expect(await tunable(parts).underWay()).toEqual([MIGRATION]);
    for (const rate of [5_000_000, null]) {
      await tune(MIGRATION, { bandwidth: rate }, parts);
      expect(JSON.parse(await readFile(path, 'utf8'))).toBe(rate);
    }
    await hosts().undo();
  });

  test('is not restored complete when the daemon does not come to listen', async () => {
    daemon.serves = false;
    await hosts().prepare();
    await hosts().syncFiles();
    const holding = expect(hold()).rejects.toThrow('does not listen');
    await freeze();
    await hosts().finalSync();
    await holding;
    expect(await hosts().target.runtime.list()).toEqual([]);
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('is not restored again from images that lack pages', async () => {
    await held();
    const entry = await hosts().target.journal.read(MIGRATION);
    await hosts().target.journal.write({ ...entry!, phase: 'COMMITTED' });
    await hosts().target.runtime.destroy(container);
    process.kill(-(entry?.restore?.pid ?? 0), 'SIGKILL');
    daemon.stands = 'lost';
    await expect(release()).rejects.toEqual(failure('LAZY_PAGES_LOST'));
    expect(await hosts().target.runtime.list()).toEqual([]);
    expect(await hosts().source.runtime.executes(container)).toBe(false);
  });

  test('is not frozen where pages cannot follow', async () => {
    await hosts().prepare();
    await hosts().syncFiles();
    hosts().target = await hosts().target.restarted();
    await expect(freeze()).rejects.toEqual(failure('PEER_UNREACHABLE'));
    expect(await hosts().source.runtime.executes(container)).toBe(true);
  });
});
