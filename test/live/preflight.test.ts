/**
 * The scan against real containers and real CRIU: each property that CRIU refuses is named beforehand, with its file, and
 * what is called hard is really refused; a container without any is really dumped.
 */
import type {
  ContainerNetwork,
  Finding,
  HostFacts,
  Inspection,
  TargetSurvey,
  TcpPolicy,
} from '@cmt/contracts';
import { labExec, labUp, type Lab } from '@cmt/lab';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { downLeavingNothing, lookAtHosts, type Before } from '../support/expectations.ts';
import { InHost } from '../support/in-host.ts';
import { BUNDLE, CONTAINER, ScannedContainer } from '../support/scanned-container.ts';

const name = `tpreflight${process.pid}`;
let lab: Lab;
let before: Before;
let container: ScannedContainer;
let source: InHost;
let target: InHost;

interface Answer {
  readonly inspection: Inspection;
  readonly facts: HostFacts;
  readonly findings: Finding[];
}

beforeAll(async () => {
  lab = await labUp({ name, hosts: 2 });
  before = await lookAtHosts(lab);
  const started = ['host1', 'host2'].map((host) => InHost.start(lab, host, 'preflight-in-host.ts'));
  [source, target] = (await Promise.all(started)) as [InHost, InHost];
  container = await ScannedContainer.make(lab);
}, 300_000);
afterAll(
  () => downLeavingNothing({ name, lab, before }, () => Promise.all([source.end(), target.end()])),
  60_000,
);
afterEach(() => container.reset());

const scan = async (tcp: TcpPolicy = 'established'): Promise<Answer> =>
  (await source.call<Answer>('inspect', CONTAINER, tcp)).value;
const codesOf = (findings: readonly Finding[]): string[] => findings.map(({ code }) => code);

describe('a container without obstacles', () => {
  test('has no finding, and CRIU dumps it', async () => {
    await container.start(
      'open($f, ">", "/data/log"); pipe($r, $w); socketpair($a, $b, 1, 1, 0); $m = "x" x 8e6;',
    );
    const { inspection, facts, findings } = await scan();
    expect(findings).toEqual([]);
    expect(inspection).toMatchObject({
      container: CONTAINER,
      bundle: BUNDLE,
      rootfs: `${BUNDLE}/rootfs`,
      pids: 1,
      tcpConnections: 0,
    });
    expect(inspection.network).toEqual({ kind: 'none' });
    expect(inspection.mounts).toEqual([]);
    expect(inspection.memory).toBeGreaterThan(8e6);
    expect(inspection.memory).toBeLessThan(64e6);
    const du = Number((await container.inHost(`du -sxB1 ${BUNDLE}`)).split('\t')[0]);
    expect(Math.abs(inspection.files - du)).toBeLessThan(64 * 1024);
    expect(Buffer.from(inspection.cpuinfo, 'base64').length).toBeGreaterThan(16);
    expect(facts).toMatchObject({
      name: 'this-host',
      criu: expect.stringMatching(/^\d+\.\d+/) as string,
      criuProblem: null,
    });
    expect(await container.criuDumps()).toBe(true);
  });
});

/** A shell command that starts the container with a file descriptor 3. */
const inheriting = (redirection: string): string =>
  `exec 3${redirection}; exec \${RUN/run -d/run --preserve-fds 1 -d}`;

describe('what CRIU refuses is named first, and CRIU does refuse it', () => {
  const refused = async (code: string, message: RegExp, tcp: TcpPolicy = 'established'): Promise<void> => {
    const { findings } = await scan(tcp);
    expect(findings).toContainEqual({
      ...{ code, severity: 'hard', host: 'this-host' },
      message: expect.stringMatching(message) as string,
      remedy: expect.stringMatching(/\S/) as string,
    });
    expect(await container.criuDumps()).toBe(false);
  };

  test('a stream that leads outside', async () => {
    await container.start('', 'exec $RUN > /root/out.log');
    await refused('STREAM_OUTSIDE', /^perl \(pid \d+\), fd 1: \/root\/out.log lies outside/);
  });

  test('an inherited file', async () => {
    await container.start('', inheriting('</etc/hostname'));
    await refused('STREAM_OUTSIDE', /^perl \(pid \d+\), fd 3: \/etc\/hostname lies outside/);
  });

  test('a terminal', async () => {
    await container.prepare('');
    const terminal = await container.beside(
      'script',
      '-qc',
      `runc run -d --bundle ${BUNDLE} ${CONTAINER}; echo up; exec sleep 100`,
      '/dev/null',
    );
    await container.ready();
    await refused('TERMINAL', /^perl \(pid \d+\), fd 0, 1, 2: \/dev\/pts\/\d+ is a terminal/);
    await terminal.end();
  });

  test('a device', async () => {
    await container.start('', inheriting('</dev/fuse'));
    await refused(
      'DEVICE',
      /^perl \(pid \d+\), fd 3: CRIU cannot dump the device \/dev\/fuse \(character 10:229\)/,
    );
  });

  test('a unix socket, connected outwards', async () => {
    const server = `use Socket; socket(S, 1, 1, 0); bind(S, sockaddr_un("${BUNDLE}/rootfs/data/sock")) or die $!; listen(S, 5); $| = 1; print "up\\n"; accept(C, S); sleep 100`;
    const outside = await container.beside('perl', '-e', server);
    await container.start('socket(S, 1, 1, 0); connect(S, pack("Sa*", 1, "/data/sock\\0")) or die $!;');
    await refused(
      'UNIX_SOCKET_OUTSIDE',
      /^perl \(pid \d+\), fd 3: a unix socket.* is connected with a process outside/,
    );
    await outside.end();
  });

  test('a unix socket, connected from outside', async () => {
    await container.start('socket(S, 1, 1, 0); bind(S, pack("Sa*", 1, "/data/sock\\0")); listen(S, 5);');
    const client = `use Socket; socket(S, 1, 1, 0); connect(S, sockaddr_un("${BUNDLE}/rootfs/data/sock")) or die $!; $| = 1; print "up\\n"; sleep 100`;
    // Connected and not accepted is no obstacle; this one is accepted by nobody, so it must not be named.
    const outside = await container.beside('perl', '-e', client);
    expect(codesOf((await scan()).findings)).toEqual([]);
    await outside.end();
  });

  test('a socket of the host’s network', async () => {
    await container.start('', inheriting('<>/dev/tcp/127.0.0.1/22'));
    await refused('SOCKET_OUTSIDE', /^perl \(pid \d+\), fd 3: the socket belongs to the network of the host/);
  });

  test('io_uring', async () => {
    await container.start('$p = "\\0" x 120; syscall(425, 4, $p) >= 0 or die $!;');
    await refused('IO_URING', /^perl \(pid \d+\), fd 3: CRIU cannot dump io_uring/);
  });

  test('a kernel object that CRIU does not know', async () => {
    await container.start('syscall(323, 02000001) >= 0 or die $!;');
    await refused('KERNEL_OBJECT', /fd 3: CRIU cannot dump anon_inode:\[userfaultfd\]/);
  });

  test('a protocol that CRIU does not know', async () => {
    await container.start('socket(S, 2, 1, 262) or die $!;');
    await refused('SOCKET_UNSUPPORTED', /fd 3: CRIU cannot dump a socket of protocol MPTCP/);
  });

  test('a nested namespace', async () => {
    await container.start(
      'unless (fork) { syscall(272, 0x10000000) == 0 or die $!; open(F, ">", "/data/nested"); sleep 1000 }',
    );
    await container.there('nested');
    await refused('NESTED_NAMESPACE', /^perl \(pid \d+\): it has user namespace of its own/);
  });

  test('a traced process', async () => {
    await container.start('');
    const pid = await container.pid();
    const trace = `syscall(101, 0x4206, ${pid}, 0, 0) == 0 or die $!; $| = 1; print "up\\n"; sleep 100`;
    const tracer = await container.beside('perl', '-e', trace);
    await refused('TRACED', /^perl \(pid \d+\): it is traced by process \d+/);
    await tracer.end();
  }, 60_000);

  test('a removed file with another name left', async () => {
    await container.start('open(F, ">", "/data/a"); link("/data/a", "/data/b"); unlink("/data/a");');
    await refused('DELETED_FILE', /fd 3: \/data\/a was removed while open, and has another name/);
  });

  test('TCP connections when they are not wanted', async () => {
    await container.start(
      'socket(S, 2, 1, 0); bind(S, pack("Snx4x8", 2, 7000)) or die $!; listen(S, 5); socket(C, 2, 1, 0); connect(C, pack("SnC4x8", 2, 7000, 127, 0, 0, 1)) or die $!; accept(A, S);',
    );
    expect(codesOf((await scan('refuse')).findings)).toEqual(['TCP_CONNECTIONS']);
    const { inspection, findings } = await scan('established');
    expect(findings).toEqual([]);
    expect(inspection.tcpConnections).toBe(2);
  });
});

describe('what CRIU does not refuse, but loses', () => {
  const named = async (code: string, message: RegExp): Promise<void> => {
    const { findings } = await scan();
    expect(findings).toContainEqual({
      ...{ code, severity: code === 'DELETED_FILE' ? 'note' : 'soft', host: 'this-host' },
      message: expect.stringMatching(message) as string,
      remedy: expect.stringMatching(/\S/) as string,
    });
  };

  test('a pipe to the outside', async () => {
    await container.start('', '(exec $RUN) | (echo $BASHPID > /run/reader; exec sleep 100) & sleep 1');
    await named(
      'PIPE_OUTSIDE',
      /^perl \(pid \d+\), fd 1: pipe:\[\d+\] is shared with sleep \(pid \d+\) outside/,
    );
    expect(await container.criuDumps()).toBe(true);
    await container.inHost('kill $(cat /run/reader); rm /run/reader');
  });

  test('a process that was put beside init', async () => {
    await container.start('');
    await labExec(lab, 'host1', ['runc', 'exec', '-d', CONTAINER, 'sleep', '1000'], {
      timeoutMs: 10_000,
      stdio: 'ignore',
    });
    await named('EXEC_PROCESS', /^sleep \(pid \d+\): .* would not be moved/);
  });

  test('a neighbour in its network', async () => {
    await container.start('');
    const neighbour = await container.beside(
      'nsenter',
      '-t',
      `${await container.pid()}`,
      '-n',
      'sh',
      '-c',
      'echo up; exec sleep 100',
    );
    await named('NETNS_SHARED', /^sleep \(pid \d+\): it is not of the container but uses its network/);
    await neighbour.end();
  });

  test('a removed file', async () => {
    await container.start('open(F, ">", "/data/a"); syswrite(F, "x" x 5000); unlink("/data/a");');
    await named(
      'DELETED_FILE',
      /fd 3: \/data\/a was removed while open; its 5000 bytes move inside the images/,
    );
    expect(await container.criuDumps()).toBe(true);
  });

  test('a watch on overlayfs', async () => {
    await container.start('$f = syscall(294, 0); $p = "/data"; syscall(254, $f, $p, 2) >= 0 or die $!;');
    await named('INOTIFY', /fd 3: inotify watches files on overlayfs/);
  });
});

describe('what the target answers', () => {
  const survey = async (inspection: Inspection, path = BUNDLE): Promise<TargetSurvey> =>
    (await target.call<TargetSurvey>('survey', inspection, path)).value;

  test('a host that could take it', async () => {
    await container.start('');
    const { inspection } = await scan();
    const answer = await survey(inspection);
    expect(answer).toMatchObject({
      ...{ cpuProblem: null, nameTaken: false, addressesTaken: [], missingBridges: [], missingMounts: [] },
      ...{ bundle: 'absent', rsync: true, busyWith: null },
    });
    expect(answer.bundleFree).toBeGreaterThan(1e6);
    expect(answer.facts.imagesFree).toBeGreaterThan(1e6);
  });

  test('what stands in the way', async () => {
    await container.start('');
    const { inspection } = await scan();
    const network: ContainerNetwork = {
      ...{ kind: 'bridge', netns: '/run/netns/web', routes: [], neighbours: [] },
      links: [
        {
          ...{ name: 'eth0', mac: '02:00:00:00:00:01', mtu: 1500, hostLink: 'vweb', bridge: 'br-none' },
          addresses: [`10.77.${lab.index}.12/24`],
        },
      ],
    };
    const mounts = [
      { source: '/etc', destination: '/a' },
      { source: '/no/such/place', destination: '/b' },
    ];
    await container.inHost(`mkdir -p ${BUNDLE}`, 'host2');
    // A valid image of another CPU is beyond this machine; one that cannot be read must not pass either.
    expect(
      await survey({ ...inspection, network, mounts, cpuinfo: Buffer.from('garbage').toString('base64') }),
    ).toMatchObject({
      cpuProblem: expect.stringMatching(/\S/) as string,
      addressesTaken: [`10.77.${lab.index}.12`],
      missingBridges: ['br-none'],
      missingMounts: ['/no/such/place'],
      bundle: 'foreign',
    });
  });

  test('a bundle is ours only while it is the very directory that was noted', async () => {
    await container.start('');
    const { inspection } = await scan();
    await container.inHost(`mkdir -p '/srv/a b'`, 'host2');
    expect((await survey(inspection, '/srv/a b')).bundle).toBe('foreign');
    await target.call('remember', '/srv/a b', CONTAINER);
    expect((await survey(inspection, '/srv/a b')).bundle).toBe('ours');
    expect((await survey({ ...inspection, container: 'another' }, '/srv/a b')).bundle).toBe('foreign');
    await container.inHost(`mv '/srv/a b' /srv/c; mkdir '/srv/a b'`, 'host2');
    expect((await survey(inspection, '/srv/a b')).bundle).toBe('foreign');
    await target.call('remember', '/srv/a b', CONTAINER);
    await target.call('forget', '/srv/a b');
    expect((await target.call('owner', '/srv/a b')).value).toBeNull();
  });
});

test('a container that is not there, or does not run, is refused', async () => {
  await expect(scan()).rejects.toMatchObject({ code: 'CONTAINER_UNKNOWN' });
  await container.start('');
  await container.inHost(`runc pause ${CONTAINER}`);
  await expect(scan()).rejects.toMatchObject({ code: 'CONTAINER_NOT_RUNNING' });
  await container.inHost(`mv ${BUNDLE}/config.json ${BUNDLE}/away; runc resume ${CONTAINER}`);
  await expect(scan()).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  await container.inHost(`mv ${BUNDLE}/away ${BUNDLE}/config.json`);
});
