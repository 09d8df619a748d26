/** A copy whose memory follows it, step by step, with a daemon that stands as the test says. */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { steps } from '../../libs/host/src/steps/index.ts';
import { thisMachine } from '../../libs/host/src/this-machine.ts';
import { Daemon } from '../support/paper-daemon.ts';
import { MIGRATION } from '../support/paper-host.ts';
import { container, failure, inputs, on, useTwoHosts } from '../support/two-hosts.ts';

const hosts = useTwoHosts();

let daemon: Daemon;
beforeEach(() => {
  daemon = new Daemon();
});

const onTarget = () => ({
  ...hosts().target.context(),
  machine: { ...thisMachine, lazyPages: daemon },
});
const its = () => inputs(hosts().source, hosts().target);

async function held() {
  await hosts().prepare();
  await hosts().syncFiles();
  const holding = steps['restore-and-hold']({ ...its().hold, lazy: true }, onTarget());
  await hosts().freeze();
  await hosts().finalSync();
  return await holding;
}

const release = () => steps.release(its().onTarget, onTarget());
const confirm = () => steps.confirm({ subject: on(hosts().target), confirmForMs: 0 }, onTarget());
const clean = () => steps.clean({ side: 'target', ...its().onTarget, outcome: 'moved' }, onTarget());

async function stillWaits(work: Promise<unknown>): Promise<void> {
  const ended = vi.fn();
  void work.then(ended, ended);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(ended).not.toHaveBeenCalled();
}

describe('a copy whose memory follows it', () => {
  test('is held when its pages are guarded, and confirmed when the last one is in', async () => {
    expect(await held()).toMatchObject({ lazy: true });
    expect(daemon.guarded).toEqual([`/cgroup/${container}`]);
    expect(await release()).toMatchObject({ decision: 'COMMIT' });
    expect(await hosts().target.runtime.executes(container)).toBe(true);
    const confirming = confirm();
    await stillWaits(confirming);
    daemon.stands = 'drained';
    await confirming;
  });

  test('keeps its images until the last page is in', async () => {
    await held();
    await release();
    const cleaning = clean();
    await stillWaits(cleaning);
    expect(await hosts().target.images()).toEqual([MIGRATION]);
    daemon.stands = 'drained';
    await cleaning;
    expect(await hosts().target.images()).toEqual([]);
  });

  test('is restored complete when the daemon does not come to listen', async () => {
    daemon.serves = false;
    expect(await held()).toMatchObject({ lazy: false });
    expect(daemon.guarded).toEqual([]);
    expect(await release()).toMatchObject({ decision: 'COMMIT' });
    await confirm();
  });

  test('that loses pages while it is held is never committed', async () => {
    await held();
    daemon.stands = 'lost';
    await expect(release()).rejects.toEqual(failure('HELD_COPY_DIED'));
    expect(hosts().decisions.made.size).toBe(0);
    await hosts().undo();
    await hosts().expectSourceAsBefore();
    await hosts().expectNothingOnTarget();
  });

  test('that has lost pages is named as such, its images are kept, and nothing is retired', async () => {
    await held();
    await release();
    daemon.stands = 'lost';
    await expect(confirm()).rejects.toEqual(failure('LAZY_PAGES_LOST'));
    await expect(clean()).rejects.toEqual(failure('LAZY_PAGES_LOST'));
    expect(await hosts().target.images()).toEqual([MIGRATION]);
  });

  test('gets another guard', async () => {
    await held();
    await release();
    daemon.stands = 'unguarded';
    const confirming = confirm();
    await stillWaits(confirming);
    expect(daemon.asked).toEqual(['guard']);
    daemon.stands = 'drained';
    await confirming;
  });

  test('is killed when daemon and guard are gone and nobody knows', async () => {
    await held();
    await release();
    daemon.stands = 'abandoned';
    await expect(confirm()).rejects.toEqual(failure('LAZY_PAGES_LOST'));
    expect(await hosts().target.runtime.list()).toEqual([]);
  });
});
