/** A container's network between real hosts: cut and joined without losing a connection, built elsewhere, removed without a trace. */
import { createInterface } from 'node:readline';
import { start } from '@cmt/host';
import { fabricExec, labExec, labExecArgv, labUp, type Lab } from '@cmt/lab';
import type { ContainerNetwork } from '@cmt/contracts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { downLeavingNothing, lookAtHosts, type Before } from '../support/expectations.ts';
import { startSteadySender } from '../support/steady-sender.ts';
import { InHost } from '../support/in-host.ts';

const name = `tnetwork${process.pid}`;
const NETNS = '/run/netns/web';
type Bridged = Extract<ContainerNetwork, { kind: 'bridge' }>;

let lab: Lab;
let before: Before;
let source: InHost;
let target: InHost;
let address: string;

beforeAll(async () => {
  lab = await labUp({ name, hosts: 2 });
  await fabricExec(lab, ['ip', 'addr', 'add', 'fd77::1/64', 'dev', lab.fabric.bridge, 'nodad']);
  before = await lookAtHosts(lab);
  address = `10.77.${lab.index}.100`;
  [source, target] = (await Promise.all(
    ['host1', 'host2'].map((host) => InHost.start(lab, host, 'network-in-host.ts')),
  )) as [InHost, InHost];
}, 300_000);
afterAll(
  () => downLeavingNothing({ name, lab, before }, () => Promise.all([source.end(), target.end()])),
  60_000,
);

async function inHost(host: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await labExec(lab, host, ['bash', '-euc', script]);
  expect({ script, code, stderr }).toMatchObject({ code: 0 });
  return stdout.trim();
}

/** Plugs a namespace into the host's bridge: addresses of both families, a default route, a neighbour that was spoken to. */
const plugIn = () =>
  inHost(
    'host1',
    `ip netns add web
     ip link add vweb mtu 1400 type veth peer name eth0 mtu 1400 address 02:77:02:00:00:01 netns web
     ip link set vweb master cmt0 up
     ip -n web link set lo up
     ip -n web addr add ${address}/24 dev eth0
     ip -n web addr add fd77::100/64 dev eth0 nodad
     ip -n web link set eth0 up
     nsenter --net=${NETNS} sh -c 'cd /proc/sys/net; echo 0 > ipv4/ip_unprivileged_port_start; echo 77 > core/somaxconn; echo "0 7" > ipv4/ping_group_range; echo 1 > ipv4/conf/eth0/arp_notify'
     ip -n web route add default via ${lab.fabric.gateway}
     ip -n web route add 192.0.2.0/24 via 10.77.${lab.index}.12 metric 7
     nsenter --net=${NETNS} ping -c1 -W2 ${lab.fabric.gateway} >/dev/null`,
  );

/** Starts a program in the namespace and returns its pid in the host. */
async function startInside(host: string, argv: readonly string[]) {
  const inside = ['nsenter', `--net=${NETNS}`, 'sh', '-c', 'echo $$; exec "$@"', 'sh', ...argv];
  const [program = '', ...args] = labExecArgv(lab, host, inside);
  const child = start(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  return {
    pid: Number(await line()),
    line,
    end: async () => {
      child.kill('SIGKILL');
      await child;
    },
  };
}

async function described(): Promise<Bridged> {
  const inside = await startInside('host1', ['sleep', '60']);
  try {
    return (await source.call<Bridged>('describe', inside.pid)).value;
  } finally {
    await inside.end();
  }
}

/** Everything a network leaves on a host: namespaces, links and rules. */
const traces = (host: string) =>
  inHost(
    host,
    'ls /run/netns 2>/dev/null || true; ip -o link | cut -d: -f2 | sed "s/@.*//"; nft list tables',
  );

const pings = async (): Promise<boolean> =>
  (await fabricExec(lab, ['chroot', lab.rootfs, 'ping', '-c1', '-W1', address])).code === 0;

/**
 * Takes what it gets, in the namespace, and names each pause of more than half a second when it is over. It answers nothing:
 * a reply lost at the cut would be repeated by this side's own timer, which no refusal reaches.
 */
const LISTENER = `
import socket, time
server = socket.create_server(("::", 7000), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
connection, _ = server.accept()
connection.recv(100)
print("connected", flush=True)
heard = time.monotonic()
while connection.recv(65536):
    now = time.monotonic()
    if now - heard > 0.5: print(round((now - heard) * 1000), flush=True)
    heard = now`;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('a container on a bridge', () => {
  let network: Bridged;
  let before: { host1: string; host2: string };

  beforeEach(async () => {
    before = { host1: await traces('host1'), host2: await traces('host2') };
    await plugIn();
    network = await described();
  });
  afterEach(async () => {
    await Promise.all([source.call('remove', network), target.call('remove', network)]);
    expect({ host1: await traces('host1'), host2: await traces('host2') }).toEqual(before);
  });

  test('is described so that it can be built again', () => {
    expect(network).toMatchObject({
      kind: 'bridge',
      netns: NETNS,
      links: [
        {
          name: 'eth0',
          mac: '02:77:02:00:00:01',
          mtu: 1400,
          hostLink: 'vweb',
          bridge: 'cmt0',
        },
      ],
      routes: [
        { to: '0.0.0.0/0', via: lab.fabric.gateway, dev: 'eth0' },
        { to: '192.0.2.0/24', via: `10.77.${lab.index}.12`, dev: 'eth0', metric: 7 },
      ],
    });
    expect(network.links[0]?.addresses).toEqual(
      expect.arrayContaining([`${address}/24`, 'fd77::100/64', expect.stringMatching(/^fe80:.*\/64$/)]),
    );
    expect(network.sysctls).toEqual({
      'ipv4/ip_unprivileged_port_start': '0',
      'core/somaxconn': '77',
      'ipv4/ping_group_range': '0\t7',
      'ipv4/conf/eth0/arp_notify': '1',
    });
    expect(network.neighbours.map((neighbour) => neighbour.address)).toContain(lab.fabric.gateway);
  });

  // A timer that backs off overshoots by far: 0.2 + 0.4 + 0.8 + 1.6 s. What was kept comes at once, over IPv4.
  test.each([
    ['IPv4', 1700, () => address, 200],
    ['IPv6', 1700, () => 'fd77::100', 700],
    ['IPv4, for longer than anything is kept', 4500, () => address, 1200],
  ])(
    'keeps its connection over a fence: %s',
    async (_, fencedMs, host, lateMs) => {
      const server = await startInside('host1', ['python3', '-c', LISTENER]);
      expect(await server.line()).toBe('listening');
      const client = startSteadySender(lab, host());
      expect(await server.line()).toBe('connected');
      const began = performance.now();
      await source.call('fence', network);
      await wait(fencedMs);
      await source.call('unfence', network);
      const elapsedMs = performance.now() - began;
      const pausedMs = Number(await server.line());
      await Promise.all([client.kill(), server.end()]);
      process.stderr.write(
        `network: fenced for ${Math.round(elapsedMs)} ms, heard nothing for ${pausedMs} ms\n`,
      );
      expect(pausedMs).toBeGreaterThan(fencedMs - 100);
      expect(pausedMs).toBeLessThan(elapsedMs + lateMs);
    },
    30_000,
  );

  test('is silent while it is fenced: nothing that its kernel says gets out', async () => {
    const server = await startInside('host1', ['python3', '-c', LISTENER]);
    expect(await server.line()).toBe('listening');
    const client = startSteadySender(lab, address);
    expect(await server.line()).toBe('connected');
    await source.call('fence', network);
    // The kernel says farewell for a process that is killed; nobody may hear it.
    await server.end();
    await wait(300);
    const argv = ['ss', '-tnH', 'state', 'established', 'dst', address];
    expect((await fabricExec(lab, argv)).stdout).toContain(address);
    expect(await pings()).toBe(false);
    await source.call('unfence', network);
    await client.kill();
  }, 30_000);

  test('moves its address: built unattached, attached with one word, and everybody finds it', async () => {
    await source.call('fence', network);
    await target.call('build', network);
    expect(await pings()).toBe(false);
    const built = await inHost(
      'host2',
      `ip -n web -o addr show dev eth0; ip -n web route; ip -n web neigh; ip -n web -o link show lo`,
    );
    for (const expected of [`${address}/24`, 'fd77::100/64', `default via ${lab.fabric.gateway}`, 'metric 7'])
      expect(built).toContain(expected);
    expect(built).toMatch(new RegExp(`${lab.fabric.gateway} dev eth0 lladdr \\S+ STALE`));
    expect(built).not.toContain('tentative');
    expect(built).toMatch(/lo: <LOOPBACK,UP/);
    await target.call('attach', network);
    expect(await pings()).toBe(true);
    const inside = await startInside('host2', ['sleep', '60']);
    const again = (await target.call<Bridged>('describe', inside.pid)).value;
    await inside.end();
    expect({ ...again, neighbours: [] }).toEqual({
      ...network,
      links: network.links.map((link) => ({ ...link, hostLink: again.links[0]?.hostLink })),
      neighbours: [],
    });
  }, 30_000);

  test('every call may be made twice, and goes on from what a crash has left', async () => {
    await inHost('host2', `mkdir -p /run/netns && : > ${NETNS}`);
    for (const method of ['fence', 'fence', 'unfence', 'unfence', 'fence'])
      await source.call(method, network);
    for (const method of ['build', 'build', 'attach', 'attach']) await target.call(method, network);
    expect(await pings()).toBe(true);
    await inHost('host2', 'ip -n web link del eth0');
    for (const method of ['build', 'attach']) await target.call(method, network);
    expect(await pings()).toBe(true);
    for (const method of ['remove', 'remove']) await source.call(method, network);
  }, 30_000);

  test('is not removed, nor built over, while a process is inside', async () => {
    const inside = await startInside('host1', ['sleep', '60']);
    await expect(source.call('remove', network)).rejects.toMatchObject({ code: 'NETWORK_IN_USE' });
    await expect(source.call('build', network)).rejects.toMatchObject({ code: 'NETWORK_IN_USE' });
    await inside.end();
    expect(await pings()).toBe(true);
  });

  test('conflicts are named: addresses of the host and of other containers, missing bridges', async () => {
    const conflicts = async (given: Bridged) => (await target.call('conflicts', given)).value;
    expect(await conflicts(network)).toEqual({ addressesTaken: [], missingBridges: [] });
    const onHost = {
      ...network,
      links: network.links.map((link) => ({ ...link, addresses: [`10.77.${lab.index}.12/24`] })),
    };
    expect(await conflicts(onHost)).toMatchObject({ addressesTaken: [`10.77.${lab.index}.12`] });
    const elsewhere = { ...network, links: network.links.map((link) => ({ ...link, bridge: 'br-none' })) };
    expect(await conflicts(elsewhere)).toMatchObject({ missingBridges: ['br-none'] });
    // Parked and empty it is no conflict with itself; somebody inside is.
    await target.call('build', network);
    expect(await conflicts(network)).toMatchObject({ addressesTaken: [] });
    const inside = await startInside('host2', ['sleep', '60']);
    expect(await conflicts(network)).toMatchObject({ addressesTaken: [address, 'fd77::100'] });
    await inside.end();
  });

  test('what the worker waits for is a matter of milliseconds', async () => {
    const timed = async (host: InHost, method: string) => (await host.call(method, network)).ms;
    const times = { fence: [] as number[], attach: [] as number[] };
    for (let round = 0; round < 7; round += 1) {
      times.fence.push(await timed(source, 'fence'));
      await target.call('build', network);
      times.attach.push(await timed(target, 'attach'));
      await target.call('remove', network);
      await source.call('unfence', network);
    }
    const medians = Object.entries(times).map(([method, all]) => [method, all.sort((a, b) => a - b)[3] ?? 0]);
    process.stderr.write(
      `network: ${medians.map(([method, ms]) => `${method} ${Number(ms).toFixed(1)} ms`).join(', ')}\n`,
    );
    // Not a benchmark: only what would be a second's wait by mistake.
    for (const [, ms] of medians) expect(Number(ms)).toBeLessThan(900);
  }, 60_000);
});

describe('other networks', () => {
  const describing = async (script: string): Promise<unknown> => {
    const [program = '', ...args] = labExecArgv(lab, 'host1', ['sh', '-c', script]);
    const child = start(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<string>((resolve) =>
      createInterface({ input: child.stdout! }).once('line', resolve),
    );
    try {
      return (await source.call('describe', Number(pid))).value;
    } finally {
      child.kill('SIGKILL');
      await child;
    }
  };

  test('the host’s own', async () => {
    expect(await describing('echo $$; exec sleep 60')).toEqual({ kind: 'host' });
  });

  test('none, without a path', async () => {
    expect(await describing('exec unshare -n sh -c "echo \\$\\$; exec sleep 60"')).toEqual({ kind: 'none' });
  });

  test('none, with a path: built and removed', async () => {
    await inHost('host1', 'ip netns add lonely');
    const network = await describing(
      'exec nsenter --net=/run/netns/lonely sh -c "echo \\$\\$; exec sleep 60"',
    );
    expect(network).toEqual({ kind: 'none', netns: '/run/netns/lonely' });
    await target.call('build', network);
    expect(await inHost('host2', 'ip -n lonely -o link show lo')).toContain('UP');
    for (const host of [source, target]) await host.call('remove', network);
    expect(await inHost('host2', 'ls /run/netns')).toBe('');
  });

  test('links without a path to their namespace are refused', async () => {
    const script = `exec unshare -n sh -c "ip link add name va type veth peer name vb; ip link set va up; echo \\$\\$; exec sleep 60"`;
    await expect(describing(script)).rejects.toMatchObject({ code: 'NETWORK_UNSUPPORTED' });
  });

  test('a link that is no veth is refused', async () => {
    const script = `ip netns add odd; exec nsenter --net=/run/netns/odd sh -c "ip link add name br9 type bridge; ip link set br9 up; echo \\$\\$; exec sleep 60"`;
    await expect(describing(script)).rejects.toMatchObject({ code: 'NETWORK_UNSUPPORTED' });
    await inHost('host1', 'ip netns del odd');
  });
});
