/**
 * Two machines without anything of cmt on them, and a laptop with an ssh-agent: refused for the right reasons, moved straight, behind a
 * jump host, and through the laptop, by root and by somebody with sudo.
 *
 * One container goes through all of it; wherever it is, it is moved to the other host.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cutFromGateway, cutHostsApart, labExec, restoreLink } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { acceptKey, placesOf, until } from '../support/agentless.ts';
import { takeAway, type Mend } from '../support/broken-tools.ts';
import { expectNothingBehind, expectOneCopy, lookAtHosts } from '../support/expectations.ts';
import { Traveller, type Asked } from '../support/traveller.ts';

const LIMIT = { timeout: 240_000 };
let web: Traveller;
const mends: Mend[] = [];

beforeAll(async () => {
  web = await Traveller.start('agentless');
}, 300_000);
afterAll(() => web.stop(), 60_000);
afterEach(async () => {
  for (const mend of mends.splice(0)) await mend();
  for (const { name } of web.laptop.lab.hosts) await restoreLink(web.laptop.lab, name);
});

/** Stands in for sudo, which the lab's machines do not have: root has no password web.here, and `su` asks for none. */
async function giveSudo(host: string, user: string): Promise<void> {
  const script = `#!/bin/sh
[ "$(id -un)" = ${user} ] && [ "$1 $2" = "-n --" ] || exit 1
shift 2
exec su root -s /bin/sh -c 'exec "$0" "$@"' -- "$@"
`;
  await labExec(
    web.laptop.lab,
    host,
    ['sh', '-c', 'cat >/usr/local/bin/sudo; chmod 755 /usr/local/bin/sudo; passwd -d root'],
    {
      timeoutMs: 10_000,
      input: script,
    },
  );
}

describe('refuses, and leaves nothing on either host', () => {
  const stranger = async (): Promise<Asked> => {
    const known = join(web.laptop.stateDir, 'other_known_hosts');
    const { address } = web.laptop.lab.hosts[1]!;
    const key = (await readFile(join(web.laptop.stateDir, 'strange.pub'), 'utf8'))
      .split(' ')
      .slice(0, 2)
      .join(' ');
    const { writeFile } = await import('node:fs/promises');
    await writeFile(known, `${address} ${key}\n`);
    const config = await web.laptop.sshConfig(`Host ${address}\n  UserKnownHostsFile ${known}`);
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
      () => Promise.resolve({ agent: web.laptop.strangersAgent }),
    ],
    ['SSH_HOST_KEY_REFUSED', 3, 'a host key that has changed', stranger],
    [
      'SSH_HOST_UNKNOWN',
      6,
      'a name that nobody knows',
      () =>
        Promise.resolve({
          argv: ['--src', web.laptop.at(web.here, web.bundle), '--dst', 'root@nowhere.invalid'],
        }),
    ],
    [
      'BUNDLE_INVALID',
      3,
      'a bundle that is not there',
      () =>
        Promise.resolve({
          argv: ['--src', web.laptop.at(web.here, '/srv/none'), '--dst', web.laptop.at(web.there)],
        }),
    ],
    ['SUDO_REFUSED', 3, 'somebody who may not become root', () => Promise.resolve({ user: 'eve' })],
    [
      'REMOTE_UNSUITABLE',
      3,
      'a host without criu',
      async () => {
        mends.push(await takeAway(web.laptop.lab, web.there, '/usr/sbin/criu'));
        return {};
      },
    ],
    [
      'SAME_HOST',
      3,
      'the same machine twice',
      () =>
        Promise.resolve({
          argv: [
            '--src',
            web.laptop.at(web.here, web.bundle),
            '--dst',
            `ssh://${web.laptop.at(web.here)}:22`,
          ],
        }),
    ],
  ];

  beforeAll(async () => {
    for (const { name } of web.laptop.lab.hosts) {
      await web.onHost(name, 'useradd -m -p x -s /bin/sh eve');
      await acceptKey(web.laptop.lab, name, '/home/eve', join(web.laptop.stateDir, 'own.pub'));
      await web.onHost(name, 'chown -R eve /home/eve/.ssh; chmod 700 /home/eve/.ssh');
    }
  });

  test.each(cases)('%s (exit code %i): %s', LIMIT, async (code, exit, _, prepare) => {
    const before = await lookAtHosts(web.laptop.lab);
    const { argv, ...asked } = await prepare();
    const answer =
      argv === undefined
        ? await web.migrate(web.newId(), asked)
        : await web.laptop.cmt(['migrate', ...argv, '--id', web.newId()]);
    expect([answer.code, answer.error?.code], answer.error?.message).toEqual([exit, code]);
    for (const mend of mends.splice(0)) await mend();
    await expectNothingBehind(web.laptop.lab, before);
    expect(await web.onHost(web.here, 'ls -d /var/lib/cmt /run/cmt-agentless 2>/dev/null || :')).toBe('');
  });
});

describe('moves', () => {
  test('with nothing but an ssh-agent, straight from host to host, and back', LIMIT, async () => {
    for (const way of ['there', 'back']) {
      const answer = await web.migrate(web.newId());
      expect([answer.code, answer.migration?.state], `${way}: ${answer.error?.message ?? ''}`).toEqual([
        0,
        'done',
      ]);
      expect(answer.told).toMatch(/bytes go straight from/);
      web.here = web.there;
      await web.expectRunsOn(web.here);
    }
    // What opened the hosts' doors has never been there.
    expect(await web.onHost(web.here, 'find /tmp -name "agent.*" | wc -l')).toBe('0');
  });

  /** The next migration makes sessions of its own, by the configuration that it is given. */
  async function endSessions(): Promise<void> {
    for (const { name } of web.laptop.lab.hosts)
      await web.onHost(name, 'kill -TERM -$(cat /run/cmt-agentless/*/worker.pid)');
    for (const { name } of web.laptop.lab.hosts)
      await until(
        async () =>
          (await web.onHost(name, 'ls -A /run/cmt-agentless /run/cmt/agentless')).match(/[0-9a-f]{16}/) ===
          null,
      );
    await until(async () => (await placesOf(web.laptop.stateDir)).length === 0);
  }

  test('workers that are told to go leave nothing but their journal', LIMIT, endSessions);

  test('through a jump host, to one that cannot be reached otherwise', LIMIT, async () => {
    const [jump, far] = [web.laptop.at(web.here), web.laptop.at(web.there)];
    const config = await web.laptop.sshConfig(
      `Host ${far.split('@')[1] ?? ''}\n  ProxyJump ${jump}\n  ConnectTimeout 5`,
    );
    const plain = await web.laptop.sshConfig('ConnectTimeout 5');
    await cutFromGateway(web.laptop.lab, web.there);
    const straight = await web.migrate(web.newId(), { flags: ['--ssh-config', plain] });
    expect([straight.code, straight.error?.code]).toEqual([6, 'SSH_UNREACHABLE']);
    const answer = await web.migrate(web.newId(), { flags: ['--ssh-config', config] });
    expect([answer.code, answer.migration?.state], answer.error?.message).toEqual([0, 'done']);
    // The hosts reach each other, so the bytes take no detour.
    expect(answer.told).toMatch(/bytes go straight from/);
    web.here = web.there;
    await web.expectRunsOn(web.here);
    await restoreLink(web.laptop.lab, web.here);
    await endSessions();
  });

  test(
    'as somebody with sudo, and through the laptop where the hosts do not reach each other',
    LIMIT,
    async () => {
      for (const { name } of web.laptop.lab.hosts) await giveSudo(name, 'eve');
      await cutHostsApart(web.laptop.lab, ['host1', 'host2']);
      const answer = await web.migrate(web.newId(), { user: 'eve' });
      expect([answer.code, answer.migration?.state], answer.error?.message).toEqual([0, 'done']);
      expect(answer.told).toMatch(/bytes go through the machine that asked/);
      web.here = web.there;
      await web.expectRunsOn(web.here);
    },
  );
});

test('there was never more nor less than one copy', async () => {
  await expectOneCopy(web.witness);
});
