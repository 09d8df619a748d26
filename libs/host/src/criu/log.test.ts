import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageOf, remedyOf } from '@cmt/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explainDump, explainRestore, RUNTIME_LOG } from './log.ts';

const whose = { host: 'h1', container: 'web' };
let work: string;
beforeEach(async () => {
  work = await mkdtemp(join(tmpdir(), 'cmt-log-'));
});
afterEach(() => rm(work, { recursive: true, force: true }));

const line = (text: string, process = ''): string =>
  `(00.012345) ${process}Error (criu/files.c:842): ${text}\n`;
const info =
  '(00.000012) Version: 4.2.1\n(00.000100) Warn  (criu/image.c:134): Failed to open parent directory\n';
const runtimeLog =
  '{"level":"warning","msg":"--- Quoting \\"dump.log\\"","time":"t"}\n' +
  '{"level":"error","msg":"criu failed: type NOTIFY errno 0","time":"t"}\n';

describe.each([
  [
    "Can't lookup mount=72 for fd=2 path=/var/log/out",
    /file descriptor 2 \(\/var\/log\/out\) leads out/,
    /\/dev\/null/,
  ],
  [
    "unix: Can't dump half of stream unix connection. name: ; peer name: /run/x.sock",
    /unix socket.*\/run\/x\.sock/,
    /Disconnect/,
  ],
  ["unix: Can't dump half of stream unix connection.", /unix socket/, /Disconnect/],
  ['unix: Unix socket 4711 not found', /unix socket/, /Disconnect/],
  ['unix: External socket is used. Consider using --ext-unix-sk option.', /unix socket/, /\/dev\/log/],
  [
    "Can't dump file 5 of that type [600] (anon anon_inode:[io_uring])",
    /descriptor 5 is an io_uring/,
    /seccomp/,
  ],
  ["Can't dump file 9 of that type [20666] (chr 10:232)", /descriptor 9 \(chr 10:232\)/, /device/],
  [
    'tty: Found dangling tty with sid 5 pgid 6 (pts) on peer fd 0.',
    /terminal.*fd 0 pts/,
    /"terminal": false/,
  ],
  ["fsnotify: \tCan't dump that handle", /inotify/, /overlayfs/],
  ["Can't dump nested pid namespace for 35", /process 35 is in a nested pid namespace/, /inner container/],
  [
    'inet: Connected TCP socket, consider using --tcp-established option.',
    /--tcp refuse/,
    /--tcp established/,
  ],
  ["sockets: Can't get 1:34 opt: Operation not supported", /too old/, /4\.2/],
  ["Can't create link remap for /tmp/x. Use link-remap option.", /file \/tmp\/x is open/, /close/],
  ["Can't dump ghost file /tmp/big of 999999999 size, increase limit", /\/tmp\/big.*999999999/, /tmpfs/],
  ['Unseizable non-zombie 77 found, state S, err -1/1', /process 77 is being traced/, /debugger/],
  ['vdso: Unexpected rt vDSO area bounds', /vDSO/, /newer criu/],
  ['net: Locking network failed: iptables-restore returned -1', /block its connections/, /nftables/],
])('a dump that ends with %s', (text, reason, hint) => {
  test('is refused with reason and remedy', async () => {
    await writeFile(join(work, 'dump.log'), info + line(text) + line('Dumping FAILED.'));
    await writeFile(join(work, RUNTIME_LOG), runtimeLog);
    const { failure } = await explainDump(work, whose);
    expect(failure.code).toBe('DUMP_REFUSED');
    expect(messageOf(failure)).toMatch(reason);
    expect(remedyOf(failure)).toMatch(hint);
    expect(messageOf(failure) + remedyOf(failure)).not.toMatch(/[{}]|\$\d|undefined/);
  });
});

describe.each([
  ["soccr: Can't connect inet socket back: Network is unreachable", /Network is unreachable/, /bridge/],
  ["inet: Can't bind inet socket (id 3): Cannot assign requested address", /address or route/, /bridge/],
  ["inet: Can't bind inet socket (id 3): Address already in use", /port/, /ss -tlnp/],
  [
    'cpu: FPU feature required by image is not supported on host (fpu:1 fxsr:1 osxsave:1 xsaves:1)',
    /CPU/,
    /same or a newer/,
  ],
  ['cpu: CPU instruction capabilities do not match run time', /CPU/, /cmt validate/],
  ['File usr/bin/redis-server has bad size 100 (expect 200)', /file usr\/bin\/redis-server/, /same/],
  ['File lib/libc.so has bad build-ID', /file lib\/libc\.so/, /same/],
  [
    "Can't open file var/lib/db on restore: No such file or directory",
    /file var\/lib\/db.*missing/,
    /complete/,
  ],
  ["Can't fork for 7: File exists", /process id 7 is taken/, /pid namespace/],
  ["Magic doesn't match for core-1.img", /core-1\.img/, /same version/],
])('a restore that ends with %s', (text, reason, hint) => {
  test('is refused with reason and remedy', async () => {
    await writeFile(join(work, 'restore.log'), info + line(text, '     1: ') + line('Restoring FAILED.'));
    const { failure } = await explainRestore(work, whose);
    expect(failure.code).toBe('RESTORE_REFUSED');
    expect(messageOf(failure)).toMatch(reason);
    expect(remedyOf(failure)).toMatch(hint);
    expect(messageOf(failure) + remedyOf(failure)).not.toMatch(/[{}]|\$\d|undefined/);
  });
});

describe.each([
  ['container with given ID already exists', 'NAME_TAKEN', /already has a container web/],
  ["container's cgroup is not empty: 3 process(es) found", 'RESTORE_REFUSED', /cgroup.*is not empty/],
  ['Requested network namespace /run/netns/x does not exist', 'RESTORE_REFUSED', /\/run\/netns\/x/],
  ['exec: "criu": executable file not found in $PATH', 'RESTORE_REFUSED', /no criu/],
  ['JSON specification file config.json not found', 'RESTORE_REFUSED', /config\.json/],
  ['unable to apply cgroup configuration: boom', 'RESTORE_FAILED', /boom/],
] as const)('a restore of which the runtime says %s', (msg, code, message) => {
  test(`is ${code}`, async () => {
    await writeFile(join(work, RUNTIME_LOG), `${JSON.stringify({ level: 'error', msg })}\n`);
    const { failure } = await explainRestore(work, whose);
    expect(failure.code).toBe(code);
    expect(messageOf(failure)).toMatch(message);
  });
});

describe('a failure that nobody knows', () => {
  test('names the first errors of CRIU and where the log is, and quotes the log', async () => {
    const lines = ['Something strange', 'Because of this', 'And so on', 'Dumping FAILED.'];
    await writeFile(join(work, 'dump.log'), info + lines.map((text) => line(text)).join(''));
    const { failure } = await explainDump(work, whose);
    expect(failure.code).toBe('DUMP_FAILED');
    expect(failure.details['reason']).toBe('Something strange; Because of this');
    expect(remedyOf(failure)).toContain(join(work, 'dump.log'));
    expect(failure.log).toContain('And so on');
  });

  test('a warning that reads like a refusal is none', async () => {
    const warning =
      "(00.01) Warn  (criu/files.c:1): Can't open file /etc/x on restore: No such file or directory\n";
    await writeFile(
      join(work, 'restore.log'),
      warning + line("rlimit: Can't setup RLIMIT_NOFILE for self") + line('boom'),
    );
    const { failure } = await explainRestore(work, whose);
    expect(failure).toMatchObject({ code: 'RESTORE_FAILED', details: { reason: 'boom' } });
  });

  test('a connection in flight and a time limit may pass by themselves: no refusal', async () => {
    await writeFile(join(work, 'dump.log'), line('inet: In-flight connection (l) for 9c1'));
    expect((await explainDump(work, whose)).failure.code).toBe('DUMP_FAILED');
    await writeFile(join(work, 'dump.log'), line('Timeout reached. Try to interrupt: 12'));
    expect((await explainDump(work, whose)).failure.code).toBe('DUMP_FAILED');
    await writeFile(join(work, 'dump.log'), line('Unseizable non-zombie 12 found, state D, err -1/4'));
    expect((await explainDump(work, whose)).failure.code).toBe('DUMP_FAILED');
  });

  test('without a log, or with nothing but "criu failed: type NOTIFY errno 0", says just that', async () => {
    expect((await explainDump(work, whose)).failure.details['reason']).toBe(
      'it ended without naming a reason',
    );
    await writeFile(join(work, RUNTIME_LOG), runtimeLog);
    const { failure } = await explainRestore(work, whose);
    expect(messageOf(failure)).not.toMatch(/NOTIFY|errno/);
    expect(failure.log ?? '').not.toMatch(/NOTIFY/);
  });
});
