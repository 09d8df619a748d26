/** The bundled `cmt` against a real Redis, with a coordinator that plays a part. */
import { keys } from '@cmt/contracts';
import { tryRun } from '@cmt/host';
import { announceOnce } from '@cmt/queue';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildCmt, cmt, jsonLines, startCmt } from '../support/cmt.ts';
import { hostRecord } from '../support/host-record.ts';
import { startQueueWorld, type QueueWorld } from '../support/queue-world.ts';
import { scripted } from '../support/scripted-coordinator.ts';

let world: QueueWorld;
let home: string;

beforeAll(async () => {
  await buildCmt();
  home = await mkdtemp(join(tmpdir(), 'cmt-cli-'));
  world = await startQueueWorld();
  world.coordinator(scripted);
  const redis = world.connection();
  await announceOnce(redis, hostRecord('host1', '10.0.0.1', ['redis']));
  await announceOnce(redis, hostRecord('host2', '10.0.0.2'));
});

afterAll(async () => {
  await world.close();
  await rm(home, { recursive: true, force: true });
});

/** The CLI with this world's Redis and key. */
const env = () => ({ CMT_REDIS: world.redis.url, CMT_STATE_DIR: world.redis.dir });
const run = (...args: string[]) => cmt(args, { home, env: env() });
const move = (container: string, ...more: string[]) =>
  run('migrate', container, '--src', 'host1', '--dst', 'host2', ...more);

describe('cmt migrate', () => {
  it('talks on standard error and answers on standard output', async () => {
    const { code, stdout, stderr } = await move('redis', '--id', 'talk');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^done: redis runs on host2, it stood still for 200 ms/);
    expect(stderr).toMatch(/^migration talk\n/);
    expect(stderr).toContain('step-started inspect: looks at the container');
    expect(stdout + stderr).not.toContain('\u001b[');
  });

  it('warns of post-copy only where that may come', async () => {
    const asked = (mode: string) => move('redis', '--mode', mode, '--on-no-convergence', 'post-copy');
    expect((await asked('auto')).stderr).toContain('needs both hosts and the link');
    expect((await asked('stop-and-copy')).stderr).not.toContain('needs both hosts and the link');
  });

  it('is one migration however often the same id is asked for', async () => {
    const first = await move('redis', '--id', 'twice', '--detach');
    const second = await move('redis', '--id', 'twice', '--json');
    expect([first.stdout, first.code, second.code]).toEqual(['twice', 0, 0]);
    const { stdout } = await run('status', '--json', '--limit', '99');
    const { migrations } = jsonLines(stdout)[0] as { migrations: { id: string }[] };
    expect(migrations.filter(({ id }) => id === 'twice')).toHaveLength(1);
    const other = await move('redis', '--id', 'twice', '--force');
    expect([other.code, other.stderr]).toEqual([
      2,
      expect.stringContaining('the id twice is that of another migration'),
    ]);
  });

  it.each([
    ['redis', 0, undefined],
    ['ghost', 3, 'CONTAINER_UNKNOWN'],
    ['wide', 3, 'VALIDATION_REFUSED'],
    ['lonely', 6, 'HOST_UNREACHABLE'],
    ['fragile', 4, 'RESTORE_FAILED'],
    ['broken', 5, 'CONTAINER_DIED'],
  ])('of %s exits %i', async (container, code, error) => {
    const text = await move(container);
    expect(text.code).toBe(code);
    if (error) expect(text.stderr).toContain(`error ${error}: `);
    const json = await move(container, '--json');
    expect(json.code).toBe(code);
    expect(jsonLines(json.stdout)).toMatchObject([
      { v: 1, ok: code === 0, migration: { container }, ...(error ? { error: { code: error } } : {}) },
    ]);
  });

  it('goes on when Ctrl-C ends the CLI, and says how to go on; cancel exits 7', async () => {
    const child = startCmt(['migrate', 'slow', '--src', 'host1', '--dst', 'host2', '--id', 'slow-1'], {
      ...{ home, env: env() },
    });
    await new Promise<void>((resolve) => {
      child.stderr?.on('data', (bytes: Buffer) => bytes.includes('step-ended') && resolve());
    });
    child.kill('SIGINT');
    const { exitCode, stderr } = await child;
    expect(exitCode).toBe(130);
    expect(stderr).toContain('cmt watch slow-1');
    expect(stderr).toContain('cmt cancel slow-1');
    const watching = run('watch', 'slow-1', '--json');
    expect((await run('cancel', 'slow-1', '--reason', 'enough', '--wait')).code).toBe(7);
    const watched = await watching;
    expect(watched.code).toBe(7);
    expect(jsonLines(watched.stdout).map(({ kind, text }) => `${String(kind)} ${String(text)}`)).toEqual([
      'state queued',
      'state running',
      'step-started looks at the container',
      'step-ended took 1 ms',
      'state cancelled',
    ]);
    expect((await run('status', 'slow-1')).stdout).toContain(
      'error CANCELLED: The migration was cancelled: enough.',
    );
  });

  it('keeps colours from everything but a terminal', async () => {
    const { stdout, code } = await run('hosts');
    expect([code, stdout.includes('\u001b')]).toEqual([0, false]);
  });
});

describe('cmt validate', () => {
  it('says yes with 0 and no with 3, each with a table or an object', async () => {
    const yes = await run('validate', 'redis', '--src', 'host1', '--dst', 'host2');
    expect([yes.code, yes.stdout]).toEqual([0, 'redis can move from host1 to host2.']);
    const no = await run('validate', 'wide', '--src', 'host1', '--dst', 'host2');
    expect(no.code).toBe(3);
    expect(no.stdout).toMatch(/hard {4}STREAM_OUTSIDE {2}host1 {2}fd 2\n/);
    const json = await run('validate', 'wide', '--src', 'host1', '--dst', 'host2', '--json');
    expect(json.code).toBe(3);
    expect(jsonLines(json.stdout)).toMatchObject([
      {
        ok: false,
        findings: [{ code: 'STREAM_OUTSIDE' }],
        error: { code: 'VALIDATION_REFUSED', host: 'host2' },
      },
    ]);
  });
});

describe('cmt resolve', () => {
  const ask = (...flags: string[]) => run('resolve', 'undecided', ...flags);
  beforeAll(async () => {
    await move('broken', '--id', 'undecided');
    await announceOnce(world.connection(), hostRecord('host1', '10.0.0.1', ['redis']));
  });

  it('says what is known, what it would do and what can go wrong, and does nothing without the word', async () => {
    // Announced long ago, as a host is that was powered off.
    await world.connection().zadd(keys.hosts, Date.now() - 180_000, 'host2');
    const { code, stdout, stderr } = await ask('--fenced', 'host2');
    expect([code, stdout]).toEqual([3, '']);
    for (const told of [
      /why +CONTAINER_DIED: /,
      /decision +none on record \(epoch 1\)/,
      /host1 +source, online, last heard of \d/,
      /host2 +target, offline, last heard of 3 min/,
      /You say that host2 is fenced/,
      /let the frozen copy on host1 run on/,
      /there are two of broken/,
      /error FENCE_UNCONFIRMED: .*\n.*cmt resolve undecided --fenced host2 --confirm host2/,
    ])
      expect(stderr).toMatch(told);
    const other = await ask('--fenced', 'host2', '--confirm', 'host1', '--json');
    expect([other.code, jsonLines(other.stdout)]).toMatchObject([
      2,
      [{ error: { code: 'REQUEST_INVALID' } }],
    ]);
    expect((await run('status', 'undecided')).stdout).toContain('needs-operator');
  });

  it('refuses a host that is online, unless told so in a word of its own', async () => {
    const { code, stderr } = await ask('--fenced', 'host1', '--confirm', 'host1');
    expect([code, stderr]).toEqual([
      3,
      expect.stringContaining('WARNING: host1 announced itself only just now'),
    ]);
    expect(stderr).toContain('error FENCED_ONLINE: ');
  });

  it('refuses what does not wait for a word, and hosts that have no part in it', async () => {
    expect((await ask('--fenced', 'host9')).stderr).toContain('error NOT_A_SIDE: ');
    await move('redis', '--id', 'fine');
    expect((await run('resolve', 'fine', '--fenced', 'host2')).stderr).toContain('error NOT_STUCK: ');
  });

  it('does it with the word, shows it, and ends as the migration does', async () => {
    const { code, stdout, stderr } = await ask('--fenced', 'host2', '--confirm', 'host2');
    expect([code, stdout]).toEqual([4, 'rolled back: broken runs on host1']);
    expect(stderr).toContain('state rolling-back');
    expect((await run('status', 'undecided')).stdout).toContain('host2, by an operator’s word');
  });
});

describe('looking', () => {
  it('hosts, ps, status and logs answer in tables and in JSON', async () => {
    await move('redis', '--id', 'seen');
    expect((await run('hosts')).stdout).toMatch(/^HOST .*\nhost1 {2}10\.0\.0\.1 .*\nhost2 {2}10\.0\.0\.2 /);
    expect((await run('ps')).stdout).toMatch(/\nredis +host1 +runc +running +- +- +\/srv\/redis$/);
    expect((await run('status')).stdout).toMatch(/^seen +redis +host1 +host2 +done +200 ms/m);
    expect((await run('status', 'seen')).stdout).toContain('decision  none yet (epoch 1)');
    expect((await run('logs', 'seen')).stdout.split('\n').at(-1)).toMatch(/ state done$/);
    for (const [verb, field] of [
      ['hosts', 'hosts'],
      ['ps', 'containers'],
      ['status', 'migrations'],
    ] as const)
      expect(jsonLines((await run(verb, '--json')).stdout)).toMatchObject([
        { v: 1, ok: true, [field]: expect.arrayContaining([expect.any(Object)]) as unknown },
      ]);
  });
});

it('says all of it where its reader is a slow pipe', async () => {
  const names = Array.from({ length: 400 }, (_, at) => `container-${at}`);
  const many = ['many1', 'many2'];
  for (const host of many) await announceOnce(world.connection(), hostRecord(host, '10.0.0.9', names));
  const { stdout } = await tryRun(
    'sh',
    ['-c', `"$0" dist/cli.js ps --json | (sleep 1; cat)`, process.execPath],
    { timeoutMs: 60_000, env: env() },
  );
  const redis = world.connection();
  for (const host of many) await redis.multi().zrem(keys.hosts, host).del(keys.host(host)).exec();
  const [answer] = jsonLines(stdout) as { containers: unknown[] }[];
  expect(answer?.containers).toHaveLength(2 * names.length + 1);
});

describe('bad input', () => {
  const ends = ['--src', 'host1', '--dst', 'host2'];

  it.each<[string, number, string, string[]]>([
    ['an unknown host', 3, 'HOST_UNKNOWN', ['migrate', 'redis', '--src', 'hots1', '--dst', 'host2']],
    [
      'an unknown address',
      3,
      'HOST_UNKNOWN',
      ['migrate', 'redis', '--src', 'root@10.9.9.9:/b', '--dst', 'host2'],
    ],
    [
      'its own host',
      3,
      'SAME_HOST',
      ['migrate', 'redis', '--src', 'host1', '--dst', 'root@10.0.0.1:/elsewhere'],
    ],
    ['a bundle with ..', 2, 'REQUEST_INVALID', ['migrate', '--src', 'host1:/srv/../etc', '--dst', 'host2']],
    ['a relative bundle', 2, 'REQUEST_INVALID', ['migrate', '--src', 'host1:srv', '--dst', 'host2']],
    ['no container and no bundle', 2, 'REQUEST_INVALID', ['migrate', ...ends]],
    ['a bad container name', 2, 'REQUEST_INVALID', ['migrate', '../x', ...ends]],
    ['a bad mode', 2, 'REQUEST_INVALID', ['validate', 'redis', ...ends, '--mode', 'warp']],
    ['a bad time', 2, 'REQUEST_INVALID', ['migrate', 'redis', ...ends, '--max-downtime', 'soon']],
    ['a bad hook', 2, 'REQUEST_INVALID', ['migrate', 'redis', ...ends, '--hook-pre-restore', 'a | b']],
    ['a bad id', 2, 'REQUEST_INVALID', ['migrate', 'redis', ...ends, '--id', '7']],
    ['a missing flag', 2, 'REQUEST_INVALID', ['migrate', 'redis', '--src', 'host1']],
    ['waiting and not waiting', 2, 'REQUEST_INVALID', ['migrate', 'redis', ...ends, '--wait', '--detach']],
    ['an unknown flag', 2, 'REQUEST_INVALID', ['ps', '--fast']],
    ['an unknown verb', 2, 'REQUEST_INVALID', ['migrat']],
    ['an unknown migration', 3, 'MIGRATION_UNKNOWN', ['status', 'nobody']],
    ['resolving an unknown migration', 3, 'MIGRATION_UNKNOWN', ['resolve', 'nobody', '--fenced', 'host1']],
    ['watching an unknown migration', 3, 'MIGRATION_UNKNOWN', ['watch', 'nobody']],
    ['cancelling an unknown migration', 3, 'MIGRATION_UNKNOWN', ['cancel', 'nobody']],
    ['a silent Redis', 6, 'REDIS_UNREACHABLE', ['hosts', '--redis', 'redis://:secret@127.0.0.1:1']],
    ['no address of a Redis', 6, 'REDIS_UNREACHABLE', ['hosts', '--redis', 'nonsense']],
    ['a missing configuration', 2, 'CONFIG_INVALID', ['hosts', '--config', '/nonexistent.json']],
    ['a bad log level', 2, 'CONFIG_INVALID', ['hosts', '--log-level', 'loud']],
    ['a bad port', 2, 'CONFIG_INVALID', ['worker', '--ssh-port', '70000']],
    ['a lab that is not there', 3, 'LAB_FAILED', ['lab', 'exec', '--name', 'nolab', 'host1', 'true']],
  ])('%s exits %i with %s', async (_, code, error, args) => {
    const text = await run(...args);
    expect(text.stderr).toMatch(new RegExp(`^error ${error}: .+\\.\n {2}.+`));
    expect(text.stderr).not.toMatch(/secret|\n {4}at /);
    expect([text.code, text.stdout]).toEqual([code, '']);
    const json = await run(...args.toSpliced(args[0] === 'lab' ? 2 : 1, 0, '--json'));
    expect(json.code).toBe(code);
    expect(jsonLines(json.stdout)).toMatchObject([{ v: 1, ok: false, error: { code: error } }]);
  });

  it('names the host that was probably meant', async () => {
    const { stderr } = await run('migrate', 'redis', '--src', 'hots1', '--dst', 'host2');
    expect(stderr).toContain('choose one of: host1, host2; did you mean host1?');
  });

  it('blames the right source of a setting', async () => {
    const file = join(home, 'bad.json');
    await writeFile(file, JSON.stringify({ logLevel: 'loud' }));
    expect((await run('hosts', '--config', file)).stderr).toContain(`logLevel, from ${file}: `);
  });

  it('takes paths with spaces', async () => {
    const { code } = await run(
      'migrate',
      'redis',
      '--src',
      'host1:/srv/my redis',
      '--dst',
      'host2',
      '--detach',
    );
    expect(code).toBe(0);
  });
});

describe('help', () => {
  it('comes with examples, on standard output, with 0', async () => {
    const { code, stdout } = await run('migrate', '--help');
    expect([code, stdout]).toEqual([
      0,
      expect.stringContaining('$ cmt migrate redis --src host1 --dst host2'),
    ]);
  });

  it('comes on standard error, with 2, when nothing was typed', async () => {
    const { code, stdout, stderr } = await run();
    expect([code, stdout, stderr]).toEqual([2, '', expect.stringContaining('Usage: cmt')]);
  });
});

describe('completion', () => {
  it.each([
    [['cmt', ''], 'migrate validate ps'],
    [['cmt', 'lab', 'u'], 'up'],
    [['cmt', 'migrate', 'redis', '--mode', 'pre'], 'pre-copy'],
    [['cmt', 'status', '--li'], '--limit'],
  ])('in bash of %j begins with %s', async (words, expected) => {
    const { stdout: script } = await run('completion', 'bash');
    const array = words.map((word) => `'${word}'`).join(' ');
    const asked = `${script}\nCOMP_WORDS=(${array}) COMP_CWORD=${words.length - 1}; _cmt; echo "\${COMPREPLY[*]}"`;
    const { stdout } = await tryRun('bash', ['-c', asked], { timeoutMs: 10_000 });
    expect(stdout.slice(0, expected.length)).toBe(expected);
  });
});
