/** A lab host that is no host yet: it joins over ssh, is examined, carries a migration, and leaves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fabricExecArgv, labExec, listDaemons, signalDaemon } from '@cmt/lab';
import { quoted } from '@cmt/host';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { migrate, newId, startFleet, type Fleet } from '../support/fleet.ts';
import { startWorkload } from '../support/workloads.ts';
import { buildCmt, cmt, jsonLines } from '../support/cmt.ts';

/** Generous: a bundle is carried over ssh and Node starts on the other side, on a machine that may be busy. */
const JOIN_MS = 180_000;

/** Nothing that an installation makes, and no process of it. */
const LEFT = 'ls -d /etc/cmt /opt/cmt /var/lib/cmt 2>/dev/null; pgrep -f "[w]orker --config" || :';

/** As nc(1), which is not on every machine. */
const WIRE =
  'const s = require("net").connect(process.argv[2], process.argv[1]); process.stdin.pipe(s).pipe(process.stdout)';

let fleet: Fleet;
let dir: string;
let sshConfig: string;

/** `~/.ssh/config` of somebody outside, for whom the lab's network is behind a command. */
async function writeSshConfig(): Promise<string> {
  const file = join(dir, 'ssh_config');
  const through = quoted(fabricExecArgv(fleet.lab, [process.execPath, '-e', WIRE, '%h', '%p']));
  const lines = [
    ...[
      'Host *',
      'User root',
      `IdentityFile ${fleet.lab.sshKeyFile}`,
      'IdentitiesOnly yes',
      'IdentityAgent none',
    ],
    ...[
      `UserKnownHostsFile ${fleet.lab.knownHostsFile}`,
      'StrictHostKeyChecking yes',
      `ProxyCommand ${through}`,
    ],
  ];
  await writeFile(file, `${lines.join('\n')}\n`);
  return file;
}

/** A verb that says one object. `cmtOf` of the fleet reads only what migrations say. */
async function said(...args: string[]): Promise<Record<string, unknown>> {
  const { stdout, stderr } = await cmt([...args, '--json', '--state-dir', fleet.stateDir], {
    home: dir,
    timeoutMs: JOIN_MS,
  });
  const [answer] = jsonLines(stdout);
  if (answer?.ok !== true) throw new Error(`${args.join(' ')}: ${stdout}\n${stderr}`);
  return answer;
}

beforeAll(async () => {
  await buildCmt();
  dir = await mkdtemp(join(tmpdir(), 'cmt-join-'));
  fleet = await startFleet('join');
  sshConfig = await writeSshConfig();
}, 15 * 60_000);
afterAll(async () => {
  await fleet.stop();
  await rm(dir, { recursive: true, force: true });
}, 120_000);

it(
  'joins, twice the same, is examined, and leaves nothing behind',
  async () => {
    const host = fleet.lab.hosts[1];
    if (host === undefined) throw new Error('the lab has two hosts');
    await forgetAsWorker(host.name);
    const add = [
      'hosts',
      'add',
      `root@${host.address}`,
      '--ssh-config',
      sshConfig,
      '--name',
      'newcomer',
      '--label',
      'zone=b',
    ];
    const first = await said(...add);
    expect(first).toMatchObject({ ok: true, name: 'newcomer', changed: true, isService: false });
    const again = await said(...add);
    expect(again).toMatchObject({ ok: true, changed: false });
    const looked = await said('doctor');
    const pairs = (looked as { diagnoses?: { area: string; level: string; about: string }[] }).diagnoses
      ?.filter(({ area }) => area === 'pair')
      .map(({ level, about }) => `${about} ${level}`);
    expect(pairs?.sort()).toEqual(['host1 -> newcomer ok', 'newcomer -> host1 ok']);
    await startWorkload(fleet.lab, 'host1', { id: 'traveller', program: 'counter', net: { kind: 'host' } });
    for (const [from, to] of [
      ['host1', 'newcomer'],
      ['newcomer', 'host1'],
    ] as const) {
      const { migration } = await migrate(fleet, { id: newId(), container: 'traveller', from, to });
      expect([migration.state, migration.message]).toEqual(['done', null]);
    }
    const gone = await said('hosts', 'rm', 'newcomer', '--ssh-config', sshConfig);
    expect(gone).toMatchObject({ ok: true, notes: [] });
    expect(await fleet.redis.acl('USERS')).not.toContain('cmt-newcomer');
    const left = await labExec(fleet.lab, host.name, ['sh', '-c', LEFT], { timeoutMs: 10_000 });
    expect(left.stdout.trim()).toBe('');
  },
  4 * JOIN_MS,
);

/** As if nobody had ever made it a host. */
async function forgetAsWorker(name: string): Promise<void> {
  const daemon = (await listDaemons(fleet.lab, name)).find((each) => each.name === 'worker');
  if (daemon) signalDaemon(daemon, 'SIGKILL');
  await said('hosts', 'rm', name, '--gone', '--ssh-config', sshConfig);
  await labExec(fleet.lab, name, ['rm', '-rf', '/etc/cmt', '/var/lib/cmt', '/run/cmt'], {
    timeoutMs: 10_000,
  });
}
