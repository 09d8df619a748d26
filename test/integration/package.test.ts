/** `npm run package`: the same bytes twice, and programs that need nothing of the machine but a C library. */
import { run, tryRun } from '@cmt/host';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unitOf } from '../../libs/host/src/remote/install.ts';

const script = fileURLToPath(new URL('../../scripts/package.mjs', import.meta.url));
const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/** Generous: a hundred megabytes are packed four times, on a machine that may be busy. */
const PACK_MS = 240_000;
const LIMIT = { timeoutMs: 60_000 };

let dir: string;
let tarball: string;
let deb: string;

const made = async (out: string): Promise<string[]> => {
  const argv = [script, '--out', join(dir, out), '--level', '1', '--json'];
  const env = { SOURCE_DATE_EPOCH: '1700000000' };
  const { stdout } = await run(process.execPath, argv, { timeoutMs: PACK_MS, env });
  return (JSON.parse(stdout) as { files: string[] }).files;
};

const digestOf = async (file: string): Promise<string> =>
  (await run('sha256sum', [file], LIMIT)).stdout.split(' ')[0] ?? '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cmt-package-test-'));
  [tarball = '', deb = ''] = await made('once');
}, PACK_MS);

afterAll(() => rm(dir, { recursive: true, force: true }));

/** As on a machine that has no Node: nothing of this environment but a few programs. */
const alone = (program: string, args: readonly string[]) =>
  tryRun('env', ['-i', 'PATH=/bin:/usr/bin', `HOME=${dir}`, program, ...args], LIMIT);

describe('the bundle', () => {
  it('runs from wherever it was unpacked', async () => {
    await run('tar', ['-C', dir, '-xzf', tarball], LIMIT);
    const said = await alone(join(dir, 'cmt/bin/cmt'), ['--version']);
    expect([said.code, said.stdout]).toEqual([0, version]);
    const asked = await alone(join(dir, 'cmt/bin/cmt'), [
      'status',
      '--redis',
      'redis://127.0.0.1:1',
      '--json',
    ]);
    expect([asked.code, JSON.parse(asked.stdout)]).toMatchObject([
      6,
      { error: { code: 'REDIS_UNREACHABLE' } },
    ]);
    await run('cmp', [process.execPath, join(dir, 'cmt/runtime/node')], LIMIT);
  });

  it('packs and unpacks images with what it brings', async () => {
    const asked = `const { loadZstd } = await import(process.argv[1]);
      const zstd = await loadZstd();
      console.log(zstd.unpack(zstd.pack(Buffer.alloc(9999, 'page'))).length);`;
    const args = ['--input-type=module', '-e', asked, join(dir, 'cmt/lib/zstd.js')];
    const said = await alone(join(dir, 'cmt/runtime/node'), args);
    expect([said.code, said.stdout]).toEqual([0, '9999']);
  });

  it('holds no source, no map, and nobody’s name', async () => {
    const { stdout } = await run('tar', ['-tvzf', tarball], LIMIT);
    const lines = stdout.split('\n');
    expect(lines.filter((line) => !line.includes(' 0/0 '))).toEqual([]);
    expect(lines.filter((line) => /\.(ts|map)$/.test(line))).toEqual([]);
    for (const name of [
      'cmt/bin/cmt',
      'cmt/lib/worker.js',
      'cmt/lib/coordinator.js',
      'cmt/systemd/cmt-worker.service',
    ])
      expect(stdout).toContain(` ${name}`);
  });
});

describe('the Debian package', () => {
  it('says what it is and what it needs', async () => {
    const { stdout } = await run(
      'dpkg-deb',
      ['-f', deb, 'Package', 'Version', 'Depends', 'Recommends'],
      LIMIT,
    );
    expect(stdout).toContain(`Package: cmt\nVersion: ${version}`);
    expect(stdout).toMatch(/Depends: .*libc6/);
    expect(stdout).toMatch(/Recommends: .*criu/);
  });

  it('puts programs, units and nothing of a configuration on a machine', async () => {
    const { stdout } = await run('dpkg-deb', ['-c', deb], LIMIT);
    for (const path of ['./usr/bin/cmt', './opt/cmt/bin/cmt', './usr/lib/systemd/system/cmt-worker.service'])
      expect(`${stdout}\n`).toContain(` ${path}\n`);
    expect(stdout).not.toContain('./etc');
    await run('dpkg-deb', ['-x', deb, join(dir, 'root')], LIMIT);
    const said = await alone(join(dir, 'root/opt/cmt/bin/cmt'), ['--version']);
    expect([said.code, said.stdout]).toEqual([0, version]);
  });

  it.each(['postinst', 'prerm', 'postrm'])('has a %s that a shell can read', async (name) => {
    await run('dpkg-deb', ['-e', deb, join(dir, 'control')], LIMIT);
    expect((await tryRun('sh', ['-n', join(dir, 'control', name)], LIMIT)).stderr).toBe('');
  });
});

describe('the units', () => {
  const unit = (name: string): Promise<string> =>
    readFile(new URL(`../../packaging/systemd/${name}.service`, import.meta.url), 'utf8');

  it('leave containers alone when the worker is stopped, and narrow nothing that they inherit', async () => {
    const text = await unit('cmt-worker');
    expect(text).toMatch(/^KillMode=process$/m);
    expect(text).toMatch(/^Delegate=yes$/m);
    expect(text).toMatch(/^RuntimeDirectoryPreserve=yes$/m);
    expect(text).not.toMatch(
      /^(NoNewPrivileges|Protect|Private|Restrict|SystemCall|Capability|User|Memory)/m,
    );
  });

  it('are what systemd understands, those of `hosts add` too', async () => {
    const root = await mkdtemp(join(tmpdir(), 'cmt-units-'));
    const units = join(root, 'usr/lib/systemd/system');
    await mkdir(units, { recursive: true });
    await mkdir(join(root, 'opt/cmt/bin'), { recursive: true });
    await writeFile(join(root, 'opt/cmt/bin/cmt'), '', { mode: 0o755 });
    // What they want of a machine; systemd has no business here with what else it has.
    for (const name of ['sysinit', 'basic', 'shutdown', 'network-online', 'multi-user'])
      await writeFile(join(units, `${name}.target`), `[Unit]\nDescription=${name}\n`);
    const verify = async (text: string): Promise<string> => {
      await writeFile(join(units, 'cmt.service'), text);
      const argv = ['--man=no', `--root=${root}`, 'verify', 'cmt.service'];
      const { code, stdout, stderr } = await tryRun('systemd-analyze', argv, LIMIT);
      return `${String(code)} ${stdout}${stderr}`;
    };
    try {
      const program = '/opt/cmt/bin/cmt';
      for (const text of [
        await unit('cmt-worker'),
        await unit('cmt-coordinator'),
        unitOf({ node: program, cli: '/cli.js' }),
      ])
        expect(await verify(text)).toBe('0 ');
      const wrong = (await unit('cmt-worker')).replace('KillMode=process', 'KillMode=proces');
      expect(await verify(wrong)).toContain('Failed to parse kill mode');
    } finally {
      await rm(root, { recursive: true });
    }
  });

  it('give the coordinator no rights that it does not need', async () => {
    const text = await unit('cmt-coordinator');
    expect(text).toMatch(/^User=cmt$/m);
    expect(text).toMatch(/^CapabilityBoundingSet=$/m);
    expect(text).not.toMatch(/MemoryDenyWriteExecute/);
  });
});

it('is the same bytes for the same sources', { timeout: 2 * PACK_MS }, async () => {
  const [again = '', debAgain = ''] = await made('twice');
  expect([await digestOf(again), await digestOf(debAgain)]).toEqual([
    await digestOf(tarball),
    await digestOf(deb),
  ]);
});
