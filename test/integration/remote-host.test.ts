/** A machine reached by the real ssh, through a real sshd on this one: looked at, given a bundle, and refused for the right reasons. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pushCmt, surveyHost, type SshHost } from '@cmt/host';
import { workerBundle } from '../../libs/host/src/remote/worker-bundle.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startSshd, type TestSshd } from '../support/sshd.ts';
import { failure } from '../support/two-hosts.ts';

let root: string;
let sshd: TestSshd;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'cmt-remote-'));
  await mkdir(join(root, 'sshd'));
  sshd = await startSshd(join(root, 'sshd'));
});
afterAll(async () => {
  await sshd.stop();
  await rm(root, { recursive: true, force: true });
});

/** As ~/.ssh/config would say it. */
async function host(more: { key?: string; hostKey?: string; port?: number } = {}): Promise<SshHost> {
  const config = join(await mkdtemp(join(root, 'ssh-')), 'config');
  const [port, key] = [more.port ?? sshd.port, more.key ?? sshd.acceptedKey];
  const known = `${config}.known`;
  await writeFile(known, `[127.0.0.1]:${port} ${more.hostKey ?? sshd.hostKeys[0] ?? ''}\n`);
  const lines = ['Host far', 'HostName 127.0.0.1', `Port ${port}`, 'User root', `IdentityFile ${key}`];
  const strict = [
    'IdentityAgent none',
    'IdentitiesOnly yes',
    `UserKnownHostsFile ${known}`,
    'StrictHostKeyChecking yes',
  ];
  await writeFile(config, `${[...lines, ...strict].join('\n')}\n`);
  return { destination: 'far', config };
}

test('says who we are there and what the machine has', async () => {
  const survey = await surveyHost(await host());
  expect(survey).toMatchObject({ system: 'Linux', uid: 0, sudo: false, address: '127.0.0.1', bundle: true });
  expect(survey.programs).toContain('tar');
});

test.each([
  ['SSH_LOGIN_REFUSED', () => host({ key: sshd.strangeKey })],
  ['SSH_HOST_KEY_REFUSED', () => host({ hostKey: sshd.hostKeys[1] ?? '' })],
  ['SSH_UNREACHABLE', () => host({ port: 1 })],
])('%s, and nobody is asked anything', async (code, to) => {
  if (code === 'SSH_HOST_KEY_REFUSED') {
    // Known under another key of the same type.
    const stranger = (await readFile(`${sshd.strangeKey}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');
    return await expect(surveyHost(await host({ hostKey: stranger }))).rejects.toEqual(failure(code));
  }
  await expect(surveyHost(await to())).rejects.toEqual(failure(code));
});

test('BUNDLE_INVALID for a bundle that is not there, SSH_HOST_UNKNOWN for a name nobody knows', async () => {
  await expect(surveyHost(await host(), { bundle: '/nowhere' })).rejects.toEqual(failure('BUNDLE_INVALID'));
  await expect(surveyHost({ destination: 'no-such-host.invalid' })).rejects.toEqual(
    failure('SSH_HOST_UNKNOWN'),
  );
});

test('carries cmt there once, complete and for root alone', async () => {
  const bundleDir = join(root, 'dist');
  await mkdir(join(bundleDir, 'crypto'), { recursive: true });
  for (const name of ['cli.js', 'worker.js', 'lab.js', 'cli.js.map', 'crypto/native.node'])
    await writeFile(join(bundleDir, name), name);
  const there = join(root, 'there');
  const to = await host();
  const survey = await surveyHost(to);
  const first = await pushCmt(to, survey, { bundleDir, root: there });
  const again = await pushCmt(to, survey, { bundleDir, root: there });
  expect([first.uploaded, again.uploaded]).toEqual([true, false]);
  const folder = first.cli.slice(0, -'/cli.js'.length);
  expect((await readdir(folder)).sort()).toEqual(['cli.js', 'crypto', 'worker.js']);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);

  await writeFile(join(bundleDir, 'cli.js'), 'newer');
  const newer = await pushCmt(to, survey, { bundleDir, root: there });
  expect(newer.cli).not.toBe(first.cli);
  expect(await readFile(newer.cli, 'utf8')).toBe('newer');
});

test('takes away what nobody runs and nobody has asked for in a day, whenever a newer one comes', async () => {
  const bundleDir = join(root, 'dist-3');
  const there = join(root, 'there-3');
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
  const folder = async (name: string, at = yesterday): Promise<string> => {
    await mkdir(join(there, name), { recursive: true });
    await writeFile(join(there, name, 'cli.js'), 'setInterval(() => undefined, 1000); console.log("runs");');
    await utimes(join(there, name), at, at);
    return name;
  };
  const kept = [await folder('a'.repeat(16)), await folder('b'.repeat(16), new Date()), await folder('doc')];
  const [goes, asked] = [await folder('d'.repeat(16)), await folder('e'.repeat(16))];
  await folder(`node-20.1.0-${'f'.repeat(16)}`);
  await folder('.draft-aB3xYz');
  const runs = spawn(process.execPath, [join(there, kept[0] ?? '', 'cli.js')]);
  try {
    await once(runs.stdout, 'data');
    const to = await host();
    const survey = await surveyHost(to);
    const push = async (content: string) => {
      await mkdir(bundleDir, { recursive: true });
      await writeFile(join(bundleDir, 'cli.js'), content);
      return basename(dirname((await pushCmt(to, survey, { bundleDir, root: there })).cli));
    };
    // Nothing new: nothing is looked at.
    const first = await workerBundle(await aBundle(join(root, 'dist-4'), 'first'));
    await rename(join(there, asked), join(there, first.hash));
    expect(await push('first')).toBe(first.hash);
    expect(await readdir(there)).toContain(goes);
    const second = await push('second');
    expect((await readdir(there)).sort()).toEqual([...kept, first.hash, second].sort());
  } finally {
    runs.kill('SIGKILL');
  }
  async function aBundle(dir: string, content: string): Promise<string> {
    await mkdir(dir);
    await writeFile(join(dir, 'cli.js'), content);
    return dir;
  }
});

test('gives a machine without Node the one of this machine', { timeout: 60_000 }, async () => {
  const bundleDir = join(root, 'dist-2');
  await mkdir(bundleDir);
  await writeFile(join(bundleDir, 'cli.js'), '');
  const to = await host();
  const survey = { ...(await surveyHost(to)), node: '', nodeVersion: '' };
  const { node } = await pushCmt(to, survey, { bundleDir, root: join(root, 'there-2') });
  expect(node).toContain(`node-${process.versions.node}-`);
  expect((await stat(node)).size).toBe((await stat(process.execPath)).size);
});
