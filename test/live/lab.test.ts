/** A lab host is really a host: alone, reachable, able to checkpoint; and `down` leaves nothing, whatever happened. */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { run, start, tryRun } from '@cmt/host';
import {
  cutFromGateway,
  cutLink,
  fabricExec,
  isAlive,
  labDown,
  labExec,
  labLs,
  labRun,
  labUp,
  listDaemons,
  rebootHost,
  restoreLink,
  signalDaemon,
  spawnInHost,
  type Lab,
} from '@cmt/lab';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

const unique = (what: string): string => `t${what}${process.pid}`;
const stateDirOf = (name: string): string => `/var/lib/cmt/lab/${name}`;

const inHost = (lab: Lab, host: string, script: string): Promise<string> =>
  labRun(lab, host, ['bash', '-euc', script]);

const pings = async (lab: Lab, host: string, address: string): Promise<boolean> =>
  (await labExec(lab, host, ['ping', '-c1', '-W1', address])).code === 0;

const fabricPings = async (lab: Lab, address: string): Promise<boolean> =>
  (await fabricExec(lab, ['chroot', lab.rootfs, 'ping', '-c1', '-W1', address])).code === 0;

/** Everything on the machine that bears the lab's name. Other labs come and go while this runs. */
async function tracesOf(name: string): Promise<string[]> {
  const netns = (await readdir('/run/netns').catch(() => [])).filter((file) =>
    file.startsWith(`cmt-${name}-`),
  );
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8'))
    .split('\n')
    .filter((line) => line.includes(name));
  const cgroups = ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].map((root) => `${root}/cmt-lab/${name}`);
  const pids = (await readdir('/proc')).filter((file) => /^\d+$/.test(file) && file !== `${process.pid}`);
  const processes = pids.filter((pid) => belongsTo(name, pid)).map((pid) => `process ${pid}`);
  return [...netns, ...mounts, ...[...cgroups, stateDirOf(name)].filter(existsSync), ...processes];
}

/**
 * In the lab's cgroup, named after the lab, or in a mount namespace where a disk of the lab is mounted.
 * The dead do not count: it is for the machine's init to bury those whose parent we killed.
 */
function belongsTo(name: string, pid: string): boolean {
  const read = (file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8');
    } catch {
      return '';
    }
  };
  return (
    !/\) Z /.test(read('stat')) &&
    ['cgroup', 'cmdline', 'mountinfo'].some((file) => read(file).includes(name))
  );
}

/** A container network namespace plugged into the host's container bridge. */
const plugIn = (address: string): string => `
  ip netns add c && ip link add vc type veth peer name eth0 netns c
  ip link set vc master cmt0 up && ip -n c addr add ${address}/24 dev eth0 && ip -n c link set eth0 up`;

/** A bundle at /c whose process counts into /c/rootfs/n. */
const countingBundle = `
  mkdir -p /c/rootfs/{bin,lib,lib64,proc,dev,sys} && cd /c
  for program in dash sleep; do
    cp -L "$(command -v $program)" rootfs/bin/
    for lib in $(ldd "$(command -v $program)" | grep -o '/lib[^ ]*'); do cp -L --parents "$lib" rootfs/; done
  done
  runc spec && jq '.process.terminal = false | .root.readonly = false | .process.args =
    ["dash", "-c", "n=0; while :; do n=$((n+1)); echo $n >/n; sleep 0.02; done"]' config.json > new && mv new config.json`;
const checkpoint = 'runc checkpoint --leave-running --image-path /c/images --work-path /tmp c';
const count = 'cat /c/rootfs/n';

describe('a lab of two hosts', () => {
  const name = unique('two');
  let lab: Lab;
  beforeAll(async () => {
    lab = await labUp({ name, share: [process.cwd()] });
  }, 600_000);
  afterAll(() => labDown({ name }), 60_000);

  test('is found again, and `up` a second time changes nothing', async () => {
    expect(await labLs()).toContainEqual(lab);
    expect(await labUp({ name })).toEqual(lab);
    await expect(labUp({ name, hosts: 3 })).rejects.toThrow('is there with host1, host2');
    await expect(labUp({ name, stateDir: '/tmp' })).rejects.toThrow('another state directory');
  });

  test('gives each host namespaces, a name, processes, cgroups and a disk of its own', async () => {
    const kinds = ['mnt', 'pid', 'net', 'uts', 'ipc', 'cgroup'];
    const links = kinds.map((kind) => `/proc/self/ns/${kind}`).join(' ');
    const [one, two] = await Promise.all(
      ['host1', 'host2'].map((host) => inHost(lab, host, `readlink ${links}`)),
    );
    const machine = (await fabricExec(lab, ['readlink', ...links.split(' ')])).stdout;
    const all = [one, two, machine].flatMap((text) => text!.split('\n'));
    // The fabric has a network namespace of its own; everything else of it is the machine's.
    expect(new Set(all).size).toBe(3 * kinds.length);
    expect(await inHost(lab, 'host1', 'hostname; cat /proc/self/cgroup | tail -1')).toBe('host1\n0::/system');
    await inHost(lab, 'host1', 'touch /only-here /tmp/only-here; mkdir /sys/fs/cgroup/only-here');
    const there = 'ls / /tmp /sys/fs/cgroup; ps ax';
    expect(await inHost(lab, 'host2', there)).not.toMatch(/only-here|host1/);
    await inHost(lab, 'host1', 'rmdir /sys/fs/cgroup/only-here');
    await expect(inHost(lab, 'host1', `touch ${process.cwd()}/x`)).rejects.toThrow('Read-only');
  });

  test('can checkpoint', async () => {
    expect((await labExec(lab, 'host1', ['criu', 'check'])).stdout).toContain('Looks good.');
  });

  test('lets hosts reach each other by ssh, and only with the key', async () => {
    expect(await inHost(lab, 'host1', 'ssh -o BatchMode=yes host2 hostname')).toBe('host2');
    const keyless = 'ssh -o BatchMode=yes -o IdentityFile=/dev/null -o IdentitiesOnly=yes host2 hostname';
    expect((await labExec(lab, 'host1', ['sh', '-c', keyless])).stderr).toContain('Permission denied');
    const options = [
      '-i',
      lab.sshKeyFile,
      '-o',
      `UserKnownHostsFile=${lab.knownHostsFile}`,
      '-o',
      'BatchMode=yes',
    ];
    const outside = await fabricExec(lab, ['ssh', ...options, `root@${lab.hosts[1]!.address}`, 'hostname']);
    expect(outside.stdout).toBe('host2');
  });

  test('puts containers on one segment with the fabric and the other host; cables can be cut', async () => {
    const address = `10.77.${lab.index}.100`;
    await inHost(lab, 'host1', plugIn(address));
    const reached = async (): Promise<boolean[]> =>
      Promise.all([fabricPings(lab, address), pings(lab, 'host2', address), pings(lab, 'host1', 'gateway')]);
    expect(await reached()).toEqual([true, true, true]);
    await cutLink(lab, 'host1');
    expect(await reached()).toEqual([false, false, false]);
    await restoreLink(lab, 'host1');
    expect(await reached()).toEqual([true, true, true]);
    await cutFromGateway(lab, 'host1');
    expect(await reached()).toEqual([true, true, false]);
    await restoreLink(lab, 'host1');
    expect(await reached()).toEqual([true, true, true]);
  });

  test('moves a runc container: frozen here, running there, never counting twice', async () => {
    await inHost(lab, 'host1', `${countingBundle} && rsync -a /c host2:/`);
    await inHost(
      lab,
      'host1',
      'runc run -d --bundle /c c </dev/null >/dev/null 2>&1; sleep 0.3; runc pause c',
    );
    const frozenAt = Number(await inHost(lab, 'host1', `${checkpoint} && ${count}`));
    await inHost(lab, 'host1', 'rsync -a /c/images host2:/c/ && rsync -a /c/rootfs/n host2:/c/rootfs/');
    await inHost(
      lab,
      'host2',
      'runc restore -d --image-path /c/images --bundle /c c </dev/null >/dev/null 2>&1',
    );
    const there = Number(await inHost(lab, 'host2', `sleep 0.2; ${count}`));
    expect(there).toBeGreaterThan(frozenAt);
    expect(Number(await inHost(lab, 'host1', count))).toBe(frozenAt);
    await inHost(lab, 'host1', 'runc resume c');
    expect(Number(await inHost(lab, 'host1', `sleep 0.2; ${count}`))).toBeGreaterThan(frozenAt);
  });

  test('adopts and reaps a restored container, whose parent is gone', async () => {
    await inHost(lab, 'host2', 'runc kill c KILL; until runc delete c 2>/dev/null; do sleep 0.05; done');
    expect(await inHost(lab, 'host2', 'ps -eo stat,args')).not.toMatch(/^Z/m);
  });

  test('keeps a daemon running without us, and finds it by more than its pid', async () => {
    const daemon = await spawnInHost(lab, 'host1', {
      name: 'talker',
      argv: ['node', '-e', 'console.log(process.env.WORD); setInterval(() => {}, 1e6)'],
      env: { WORD: 'hello' },
    });
    await expect.poll(() => readFile(daemon.logFile, 'utf8')).toContain('hello');
    await expect(spawnInHost(lab, 'host1', daemon)).rejects.toThrow('already runs');
    expect(await listDaemons(lab, 'host1')).toEqual([daemon]);
    expect(signalDaemon(daemon, 'SIGTERM')).toBe(true);
    await expect.poll(() => isAlive(daemon.process)).toBe(false);
    expect(signalDaemon(daemon, 'SIGTERM')).toBe(false);
  });

  test('ends what it runs for us when we are gone or out of patience', async () => {
    const late = await labExec(lab, 'host1', ['sleep', '4242'], { timeoutMs: 200 });
    expect(late.timedOut).toBe(true);
    await expect.poll(() => inHost(lab, 'host1', 'ps -eo args')).not.toContain('4242');
  });

  test('reboots a host: the disk is kept, everything else is gone, the other host is untouched', async () => {
    await inHost(lab, 'host1', 'echo kept > /root/file; echo lost > /run/file');
    const other = lab.hosts[1]!.init;
    lab = await rebootHost(lab, 'host1');
    expect(await inHost(lab, 'host1', 'cat /root/file; ls /run; ip netns')).toMatch(/^kept(?![^]*file)/);
    expect(await inHost(lab, 'host2', 'ssh host1 hostname')).toBe('host1');
    expect(lab.hosts[1]!.init).toEqual(other);
    expect(await labLs()).toContainEqual(lab);
  });

  test('is gone after `down`, with a frozen container in it, twice', async () => {
    await inHost(lab, 'host1', 'runc --root /run/again run -d --bundle /c d </dev/null >/dev/null 2>&1');
    await inHost(lab, 'host1', 'runc --root /run/again pause d');
    expect((await tracesOf(name)).length).toBeGreaterThan(5);
    await labDown({ name });
    expect(await tracesOf(name)).toEqual([]);
    await labDown({ name });
    await expect(labExec(lab, 'host1', ['true'])).rejects.toThrow('not up');
  });
});

describe('an `up` that is killed', () => {
  const name = unique('killed');
  afterEach(() => labDown({ name }), 60_000);

  /** Runs `labUp` in a process of its own and kills that after a progress line and some milliseconds more. */
  async function upKilledAt(line: string, ms: number): Promise<void> {
    const program = `import { labUp } from '@cmt/lab';
      await labUp({ name: '${name}', hosts: 3, onProgress: console.log });`;
    const up = start(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    for await (const text of createInterface({ input: up.stdout! })) if (text.startsWith(line)) break;
    await new Promise((resolve) => setTimeout(resolve, ms));
    up.kill('SIGKILL');
    await up;
  }

  test.each([
    ['making keys', 0],
    ['making keys', 20],
    ['making network', 0],
    ['making network', 15],
    ['making network', 40],
    ['making network', 100],
    ['making network', 200],
    ['host2 is up', 0],
  ])('after "%s" and %i ms leaves nothing that `down` does not remove', async (line, ms) => {
    await upKilledAt(line, ms);
    expect(await tracesOf(name)).not.toEqual([]);
    await labDown({ name });
    expect(await tracesOf(name)).toEqual([]);
  });

  test('is made good by the next `up`', async () => {
    await upKilledAt('making network', 60);
    const lab = await labUp({ name });
    expect(await inHost(lab, 'host2', 'ssh host1 hostname')).toBe('host1');
  });

  test('beside another `up` of the same lab waits and gets the same lab', async () => {
    const [one, two] = await Promise.all([labUp({ name }), labUp({ name })]);
    expect(one).toEqual(two);
  });

  test('or aborted leaves nothing', async () => {
    const abort = new AbortController();
    const onProgress = (line: string): void =>
      line.startsWith('making network') ? abort.abort() : undefined;
    await expect(labUp({ name, onProgress, signal: abort.signal })).rejects.toThrow('aborted');
    expect(await tracesOf(name)).toEqual([]);
  });
});

describe('`down`', () => {
  const name = unique('down');
  const stateDir = stateDirOf(name);
  const foreign = `${stateDir}/hosts/host1/upper/mnt`;
  afterEach(async () => {
    await tryRun('umount', [foreign], { timeoutMs: 5000 });
    await rm(`${stateDir}/mine`, { force: true });
    await labDown({ name });
  });

  test('never deletes through a mount', async () => {
    await labUp({ name, hosts: 1 });
    await mkdir(foreign);
    await run('mount', ['-t', 'tmpfs', 'tmpfs', foreign], { timeoutMs: 5000 });
    await writeFile(`${foreign}/precious`, '');
    await expect(labDown({ name })).rejects.toThrow(`unmount ${foreign} first`);
    expect(existsSync(`${foreign}/precious`)).toBe(true);
  });

  test('keeps what is not the lab’s, and a half-removed lab is not booted again', async () => {
    const { hosts } = await labUp({ name, hosts: 1 });
    await writeFile(`${stateDir}/mine`, '');
    await expect(labDown({ name })).rejects.toThrow('not the lab');
    expect(existsSync(`${stateDir}/mine`)).toBe(true);
    await expect(labUp({ name, hosts: 1 })).rejects.toThrow('not empty');
    await rm(`${stateDir}/mine`);
    expect((await labUp({ name, hosts: 1 })).hosts[0]!.init).not.toEqual(hosts[0]!.init);
  });
});
