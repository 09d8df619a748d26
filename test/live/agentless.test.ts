/**
 * Two machines without anything of cmt on them, and a laptop with an ssh-agent: refused for the right reasons, moved straight and
 * through the laptop, by root and by somebody with sudo; and the laptop gone in the middle of it.
 *
 * One container goes through all of it; wherever it is, it is moved to the other host.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MigrationReport } from '@cmt/contracts';
import { cutFromGateway, cutHostsApart, labExec, restoreLink } from '@cmt/lab';
import { connectProducer, follow, parseRedisUrl, type RedisConnection } from '@cmt/queue';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { bundleOf } from '../../apps/lab/src/demo/container.ts';
import type { CopiesReport } from '../../apps/lab/src/demo/copies.ts';
import { startWitness, type Observer } from '../../apps/lab/src/demo/observer.ts';
import { acceptKey, placesOf, startLaptop, until, type Answer, type Laptop } from '../support/agentless.ts';
import { shadow, takeAway, type Mend } from '../support/broken-tools.ts';
import {
  expectNothingBehind,
  expectOneCopy,
  expectOneHistory,
  lookAtHosts,
} from '../support/expectations.ts';
import { readTicks } from '../support/ticks.ts';
import { startWorkload } from '../support/workloads.ts';

const LIMIT = { timeout: 240_000 };
const id = 'web';
const bundle = bundleOf(id);
let laptop: Laptop;
let witness: Observer<CopiesReport>;
let here = 'host1';
let count = 0;
const mends: Mend[] = [];

beforeAll(async () => {
  laptop = await startLaptop('agentless');
  await startWorkload(laptop.lab, here, { id, program: 'counter', net: { kind: 'host' } });
  witness = await startWitness(laptop.lab, id);
}, 300_000);
afterAll(async () => {
  witness.kill();
  await laptop.stop();
}, 60_000);
afterEach(async () => {
  for (const mend of mends.splice(0)) await mend();
  for (const { name } of laptop.lab.hosts) await restoreLink(laptop.lab, name);
});

const there = (): string => (here === 'host1' ? 'host2' : 'host1');
const newId = (): string => `a${process.pid}-${(count += 1)}`;
const onHost = async (host: string, script: string): Promise<string> => {
  const { code, stdout, stderr } = await labExec(laptop.lab, host, ['sh', '-euc', script], {
    timeoutMs: 20_000,
  });
  if (code !== 0) throw new Error(`${script} on ${host}: ${stderr}`);
  return stdout.trim();
};

interface Asked {
  readonly user?: string;
  readonly flags?: readonly string[];
  readonly agent?: string;
}
const migrate = (name: string, { user, flags = [], agent }: Asked = {}): Promise<Answer> => {
  const ends = ['--src', laptop.at(here, bundle, user), '--dst', laptop.at(there(), undefined, user)];
  return laptop.cmt(['migrate', '--id', name, ...ends, ...flags], agent);
};

/** The container goes on ticking on that host, and always was one. */
async function expectRunsOn(host: string): Promise<void> {
  const ticks = async () => (await readTicks(laptop.lab, host, id)).length;
  const before = await ticks();
  await until(async () => (await ticks()) > before, 60_000);
}

/** Stands in for sudo, which the lab's machines do not have: root has no password here, and `su` asks for none. */
async function giveSudo(host: string, user: string): Promise<void> {
  const script = `#!/bin/sh
[ "$(id -un)" = ${user} ] && [ "$1 $2" = "-n --" ] || exit 1
shift 2
exec su root -s /bin/sh -c 'exec "$0" "$@"' -- "$@"
`;
  await labExec(
    laptop.lab,
    host,
    ['sh', '-c', 'cat >/usr/local/bin/sudo; chmod 755 /usr/local/bin/sudo; passwd -d root'],
    {
      timeoutMs: 10_000,
      input: script,
    },
  );
}

/** Nothing is open on either host any more, and no image is left. */
const isTidy = async (host: string): Promise<boolean> => {
  const open = await onHost(
    host,
    `cat /var/lib/cmt/journal/*.json | jq -r 'select(.closed != true) | .phase'`,
  );
  const images = await onHost(host, 'find /run/cmt/images -mindepth 1 2>/dev/null || :');
  return open === '' && images === '';
};

describe('refuses, and leaves nothing on either host', () => {
  const stranger = async (): Promise<Asked> => {
    const known = join(laptop.stateDir, 'other_known_hosts');
    const { address } = laptop.lab.hosts[1]!;
    const key = (await readFile(join(laptop.stateDir, 'strange.pub'), 'utf8'))
      .split(' ')
      .slice(0, 2)
      .join(' ');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(known, `${address} ${key}\n`);
    const config = await laptop.sshConfig(`Host ${address}\n  UserKnownHostsFile ${known}`);
    return { flags: ['--ssh-config', config] };
  };
  const cases: readonly (readonly [
    string,
    number,
    string,
    () => Promise<Partial<Asked> & { argv?: string[] }>,
  ])[] = [
    [
      'SSH_LOGIN_REFUSED',
      3,
      'a key that nobody accepts',
      () => Promise.resolve({ agent: laptop.strangersAgent }),
    ],
    ['SSH_HOST_KEY_REFUSED', 3, 'a host key that has changed', stranger],
    [
      'SSH_HOST_UNKNOWN',
      6,
      'a name that nobody knows',
      () => Promise.resolve({ argv: ['--src', laptop.at(here, bundle), '--dst', 'root@nowhere.invalid'] }),
    ],
    [
      'BUNDLE_INVALID',
      3,
      'a bundle that is not there',
      () => Promise.resolve({ argv: ['--src', laptop.at(here, '/srv/none'), '--dst', laptop.at(there())] }),
    ],
    ['SUDO_REFUSED', 3, 'somebody who may not become root', () => Promise.resolve({ user: 'eve' })],
    [
      'REMOTE_UNSUITABLE',
      3,
      'a host without criu',
      async () => {
        mends.push(await takeAway(laptop.lab, there(), '/usr/sbin/criu'));
        return {};
      },
    ],
    [
      'SAME_HOST',
      3,
      'the same machine twice',
      () =>
        Promise.resolve({ argv: ['--src', laptop.at(here, bundle), '--dst', `ssh://${laptop.at(here)}:22`] }),
    ],
  ];

  beforeAll(async () => {
    for (const { name } of laptop.lab.hosts) {
      await onHost(name, 'useradd -m -p x -s /bin/sh eve');
      await acceptKey(laptop.lab, name, '/home/eve', join(laptop.stateDir, 'own.pub'));
      await onHost(name, 'chown -R eve /home/eve/.ssh; chmod 700 /home/eve/.ssh');
    }
  });

  test.each(cases)('%s (exit code %i): %s', LIMIT, async (code, exit, _, prepare) => {
    const before = await lookAtHosts(laptop.lab);
    const { argv, ...asked } = await prepare();
    const answer =
      argv === undefined
        ? await migrate(newId(), asked)
        : await laptop.cmt(['migrate', ...argv, '--id', newId()]);
    expect([answer.code, answer.error?.code], answer.error?.message).toEqual([exit, code]);
    for (const mend of mends.splice(0)) await mend();
    await expectNothingBehind(laptop.lab, before);
    expect(await onHost(here, 'ls -d /var/lib/cmt /run/cmt-agentless 2>/dev/null || :')).toBe('');
  });
});

describe('moves', () => {
  test('with nothing but an ssh-agent, straight from host to host, and back', LIMIT, async () => {
    for (const way of ['there', 'back']) {
      const answer = await migrate(newId());
      expect([answer.code, answer.migration?.state], `${way}: ${answer.error?.message ?? ''}`).toEqual([
        0,
        'done',
      ]);
      expect(answer.told).toMatch(/bytes go straight from/);
      here = there();
      await expectRunsOn(here);
    }
    // What opened the hosts' doors has never been there.
    expect(await onHost(here, 'find /tmp -name "agent.*" | wc -l')).toBe('0');
  });

  test('workers that are told to go leave nothing but their journal', LIMIT, async () => {
    for (const { name } of laptop.lab.hosts)
      await onHost(name, 'kill -TERM -$(cat /run/cmt-agentless/*/worker.pid)');
    for (const { name } of laptop.lab.hosts)
      await until(
        async () =>
          (await onHost(name, 'ls -A /run/cmt-agentless /run/cmt/agentless')).match(/[0-9a-f]{16}/) === null,
      );
    await until(async () => (await placesOf(laptop.stateDir)).length === 0);
  });

  test(
    'as somebody with sudo, and through the laptop where the hosts do not reach each other',
    LIMIT,
    async () => {
      for (const { name } of laptop.lab.hosts) await giveSudo(name, 'eve');
      await cutHostsApart(laptop.lab, ['host1', 'host2']);
      const answer = await migrate(newId(), { user: 'eve' });
      expect([answer.code, answer.migration?.state], answer.error?.message).toEqual([0, 'done']);
      expect(answer.told).toMatch(/bytes go through the machine that asked/);
      here = there();
      await expectRunsOn(here);
    },
  );
});

describe('the laptop is gone', () => {
  let redis: RedisConnection;
  const open = async (): Promise<void> => {
    const address = parseRedisUrl(`unix://${join(laptop.stateDir, 'redis/redis.sock')}`);
    redis = await connectProducer(address, pino({ level: 'silent' }));
  };

  /** Asks, and does `act` at the beginning of that step. */
  async function migrateAnd(step: string, act: (name: string) => Promise<void>): Promise<string> {
    const name = newId();
    const asked = await migrate(name, { flags: ['--detach'] });
    expect(asked.ok, asked.error?.message).toBe(true);
    await open();
    try {
      for await (const event of follow(redis, name, true, AbortSignal.timeout(60_000))) {
        if (event.kind !== 'step-started' || event.step !== step) continue;
        await act(name);
        return name;
      }
      throw new Error(`${step} never began`);
    } finally {
      redis.disconnect();
    }
  }

  async function ended(name: string): Promise<MigrationReport> {
    let report: MigrationReport | undefined;
    await until(async () => {
      report = (await laptop.cmt(['status', name])).migration;
      return ['done', 'rolled-back', 'cancelled', 'needs-operator'].includes(report?.state ?? '');
    });
    return MigrationReport.parse(report);
  }

  /** A program of a host waits until the returned function is called. */
  async function holdUp(host: string, program: string): Promise<() => Promise<void>> {
    await onHost(host, 'touch /run/waits');
    const wait = '[ "$1" != swrk ] || while [ -e /run/waits ]; do sleep 0.05; done';
    mends.push(await shadow(laptop.lab, host, program, wait));
    return async () => {
      await onHost(host, 'rm -f /run/waits');
    };
  }

  const phaseOn = (host: string, name: string): Promise<string> =>
    onHost(host, `jq -r .phase /var/lib/cmt/journal/${name}.json 2>/dev/null || echo none`);

  async function expectSettled(name: string, ...states: MigrationReport['state'][]): Promise<void> {
    const report = await ended(name);
    expect(states, JSON.stringify(report.failure)).toContain(report.state);
    if (report.state === 'done') here = there();
    await expectRunsOn(here);
    for (const host of ['host1', 'host2']) await until(() => isTidy(host));
    await expectOneHistory(laptop.lab, id, here);
  }

  test('only `cmt migrate`: the migration goes on', LIMIT, async () => {
    const name = await migrateAnd('freeze-and-dump', () => Promise.resolve());
    await expectSettled(name, 'done');
  });

  test('killed in the dump: the source runs on by itself, and is told of as rolled back', LIMIT, async () => {
    const goOn = await holdUp(here, 'criu');
    const name = await migrateAnd('freeze-and-dump', async () => {
      await until(async () => (await phaseOn(here, name0())) === 'FROZEN');
      await laptop.kill();
    });
    await goOn();
    await until(async () => (await phaseOn(here, name)) === 'RESUMED');
    await expectRunsOn(here);
    // It may be tried once more, one epoch later, before it is rolled back.
    await expectSettled(name, 'rolled-back', 'done');
  });
  /** The id that was given out last. */
  const name0 = (): string => `a${process.pid}-${count}`;

  test('cut off while the target restores: the target withdraws, the source runs on', LIMIT, async () => {
    const goOn = await holdUp(there(), 'criu');
    const name = await migrateAnd('final-sync', async () => {
      await until(
        async () => (await onHost(here, `jq .saidGo /var/lib/cmt/journal/${name0()}.json`)) === 'true',
      );
      for (const host of ['host1', 'host2']) await cutFromGateway(laptop.lab, host);
    });
    await until(async () => (await phaseOn(there(), name)) === 'DISCARDED');
    await expectRunsOn(here);
    await goOn();
    for (const host of ['host1', 'host2']) await restoreLink(laptop.lab, host);
    // It may be tried once more, one epoch later, before it is rolled back.
    await expectSettled(name, 'rolled-back', 'done');
  });

  test(
    'killed once the target has the container: it runs there, and the rest is done later',
    LIMIT,
    async () => {
      const name = await migrateAnd('confirm', () => laptop.kill());
      await expectRunsOn(there());
      await expectSettled(name, 'done');
    },
  );

  test('and there was never more nor less than one copy', async () => {
    await expectOneCopy(witness);
  });
});
