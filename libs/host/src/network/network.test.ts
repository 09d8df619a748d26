/** What `ip` shows turned into a network, and a network into commands: without a machine. Real links are in test/live/network.test.ts. */
import { describe, expect, test } from 'vitest';
import { ContainerNetwork } from '@cmt/contracts';
import { announce, cut, furnish, joinBuilt, makeLinks, rejoin } from './commands.ts';
import { mayMeet } from './conflicts.ts';
import { IpAddress } from './ip-json.ts';
import { builtHostLink, fenceTable, type BridgeNetwork } from './names.ts';
import { readLink, readNeighbours, readRoutes } from './reading.ts';
import { refusalRules } from './refusal.ts';
import { changedSysctls, parseSysctls } from './sysctls.ts';

const inside = IpAddress.parse({
  ...{ ifindex: 2, ifname: 'eth0', link_index: 4, link_netnsid: 0, flags: ['UP'], mtu: 1400 },
  ...{ address: '02:aa:00:00:00:01', linkinfo: { info_kind: 'veth' } },
  addr_info: [
    { family: 'inet', local: '10.0.0.100', prefixlen: 24, scope: 'global' },
    { family: 'inet6', local: 'fd00::100', prefixlen: 64, scope: 'global' },
  ],
});
const peer = IpAddress.parse({
  ...{ ifindex: 4, ifname: 'vweb', link_index: 2, flags: ['UP'], mtu: 1400, master: 'br0' },
  linkinfo: { info_kind: 'veth', info_slave_kind: 'bridge' },
});

const network: BridgeNetwork = {
  ...{ kind: 'bridge', netns: '/run/netns/web' },
  links: [
    {
      ...{ name: 'eth0', mac: '02:aa:00:00:00:01', mtu: 1400, hostLink: 'vweb', bridge: 'br0' },
      addresses: ['10.0.0.100/24', 'fd00::100/64'],
    },
  ],
  routes: [
    { to: '0.0.0.0/0', via: '10.1.0.1', dev: 'eth0' },
    { to: '10.1.0.1/32', dev: 'eth0' },
    { to: '::/0', via: 'fe80::1', dev: 'eth0', metric: 1024 },
    { to: '192.0.2.0/24', via: 'fe80::1', dev: 'eth0', src: '10.0.0.100', onlink: true },
  ],
  neighbours: [
    { address: '10.0.0.1', mac: '02:00:00:00:00:01', dev: 'eth0' },
    { address: '10.0.0.2', mac: '02:00:00:00:00:02', dev: 'eth0', permanent: true },
  ],
};

describe('reading', () => {
  test('a veth pair on a bridge', () => {
    expect(readLink(inside, [peer])).toEqual({ link: network.links[0] });
  });

  test.each<[string, IpAddress, IpAddress[], RegExp]>([
    ['another kind', { ...inside, linkinfo: { info_kind: 'macvlan' } }, [peer], /eth0 is of type macvlan/],
    ['a card', { ...inside, linkinfo: undefined }, [peer], /physical/],
    ['an end elsewhere', inside, [], /not on this host/],
    ['somebody else’s end with the same number', inside, [{ ...peer, link_index: 9 }], /not on this host/],
    ['an end on no bridge', inside, [{ ...peer, master: undefined }], /vweb, .* is on no bridge/],
    [
      'an end in a bond',
      inside,
      [{ ...peer, linkinfo: { info_kind: 'veth', info_slave_kind: 'bond' } }],
      /on no bridge/,
    ],
  ])('%s is a problem', (_, link, hostLinks, problem) => {
    expect(readLink(link, hostLinks)).toEqual({ problem: expect.stringMatching(problem) as string });
  });

  test('routes that somebody set, with their family', () => {
    const route = (dst: string, more: object = {}) => ({
      type: 'unicast',
      dst,
      dev: 'eth0',
      flags: [],
      ...more,
    });
    const routes = [
      route('default', { gateway: '10.0.0.1', protocol: 'boot' }),
      route('10.0.0.0/24', { protocol: 'kernel', prefsrc: '10.0.0.100' }),
      route('10.9.9.9', { metric: 7, prefsrc: '10.0.0.100', flags: ['onlink'] }),
      route('10.8.0.0/16', { type: 'blackhole' }),
      route('10.7.0.0/16', { dev: 'tun0' }),
    ];
    expect(readRoutes(routes, 4, ['eth0'])).toEqual([
      { to: '0.0.0.0/0', via: '10.0.0.1', dev: 'eth0' },
      { to: '10.9.9.9/32', dev: 'eth0', metric: 7, src: '10.0.0.100', onlink: true },
    ]);
    expect(readRoutes([route('default', { gateway: 'fe80::1' }), route('fd00::7')], 6, ['eth0'])).toEqual([
      { to: '::/0', via: 'fe80::1', dev: 'eth0' },
      { to: 'fd00::7/128', dev: 'eth0' },
    ]);
  });

  test('neighbours that can be sent to', () => {
    const neighbour = (dst: string, state: string, lladdr?: string) => ({
      dst,
      dev: 'eth0',
      state: [state],
      lladdr,
    });
    expect(
      readNeighbours(
        [
          neighbour('10.0.0.1', 'STALE', '02:00:00:00:00:01'),
          neighbour('10.0.0.2', 'PERMANENT', '02:00:00:00:00:02'),
          neighbour('10.0.0.3', 'FAILED'),
          neighbour('10.0.0.4', 'INCOMPLETE'),
          neighbour('10.0.0.5', 'NOARP', '00:00:00:00:00:00'),
        ],
        ['eth0'],
      ),
    ).toEqual(network.neighbours);
  });
});

describe('commands', () => {
  test('names are short, and the same for the same container only', () => {
    const link = network.links[0]!;
    expect(builtHostLink(network, link)).toMatch(/^cmt[0-9a-f]{12}$/);
    expect(builtHostLink(network, { ...link, hostLink: 'other' })).toBe(builtHostLink(network, link));
    expect(builtHostLink({ ...network, netns: '/run/netns/web2' }, link)).not.toBe(
      builtHostLink(network, link),
    );
    expect(builtHostLink(network, { ...link, name: 'eth1' })).not.toBe(builtHostLink(network, link));
  });

  test('everything is there before it is needed', () => {
    expect(furnish(network)).toEqual([
      'link set lo up',
      'addr add 10.0.0.100/24 dev eth0 brd +',
      'addr add fd00::100/64 dev eth0 nodad',
      'link set eth0 up',
      'route replace 10.1.0.1/32 dev eth0',
      'route replace 0.0.0.0/0 via 10.1.0.1 dev eth0',
      'route replace ::/0 via fe80::1 dev eth0 metric 1024',
      'route replace 192.0.2.0/24 via inet6 fe80::1 dev eth0 src 10.0.0.100 onlink',
      'neigh replace 10.0.0.1 lladdr 02:00:00:00:00:01 dev eth0 nud stale',
      'neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent',
    ]);
    const name = builtHostLink(network, network.links[0]!);
    expect(makeLinks(network)).toEqual([
      `link add name ${name} mtu 1400 type veth peer name eth0 mtu 1400 address 02:aa:00:00:00:01 netns /run/netns/web`,
    ]);
    expect(joinBuilt(network)).toEqual([`link set ${name} master br0`]);
    expect(announce(network)).toEqual([
      'neigh replace 10.0.0.100 dev eth0 use',
      'neigh replace fd00::100 dev eth0 use',
    ]);
  });

  test('what is cut is marked, and gets its own mark back', () => {
    expect(cut(network)).toEqual([
      'link set vweb nomaster group 6516084',
      'neigh del 10.0.0.100 dev br0',
      'neigh del fd00::100 dev br0',
    ]);
    expect(rejoin(network)).toEqual(['link set vweb master br0 group default']);
    const { link } = readLink(inside, [{ ...peer, group: 'tenants' }]) as { link: BridgeNetwork['links'][0] };
    expect(rejoin({ ...network, links: [link] })).toEqual(['link set vweb master br0 group tenants']);
  });

  test('no word of a network can become a second command', () => {
    const evil = 'eth0\nnetns exec x sh';
    const links = network.links.map((link) => ({ ...link, name: evil }));
    for (const given of [
      { ...network, links },
      { ...network, netns: '/run/netns/a b' },
      { ...network, routes: [{ to: '0.0.0.0/0', dev: evil }] },
      { ...network, neighbours: [{ address: `10.0.0.1 ${evil}`, mac: '02:00:00:00:00:01', dev: 'eth0' }] },
    ])
      expect(ContainerNetwork.safeParse(given).success).toBe(false);
    expect(ContainerNetwork.safeParse(network).success).toBe(true);
  });
});

describe('refusal', () => {
  test('other ports refuse what belongs to a connection, the container’s own link is shut', () => {
    const rules = refusalRules('cmt_x', network, new Map([['br0', ['eth0', 'vweb', 'vother']]]), true);
    expect(rules.startsWith('add table netdev cmt_x\ndelete table netdev cmt_x\n')).toBe(true);
    expect(rules).toContain(
      'chain shut { type filter hook ingress devices = { "vweb" } priority -300; meta iifgroup 6516084 drop; }',
    );
    expect(rules).toContain('devices = { "eth0", "vother" } priority -300;');
    expect(rules).toContain(
      'ip daddr 10.0.0.100 tcp flags & syn == 0 reject with icmp type host-unreachable',
    );
    expect(rules).toContain('ip6 daddr fd00::100 tcp flags & syn == 0 reject with icmpv6 type no-route');
  });

  test('a copy of all that comes is kept for whoever is found at the address, unless the kernel cannot', () => {
    const ports = new Map([['br0', ['eth0', 'vweb']]]);
    const rules = refusalRules('cmt_x', network, ports, true);
    expect(rules).toMatch(/ip daddr 10.0.0.100 dup to "lo"\n.* reject .*\n +ip daddr 10.0.0.100 drop\n/);
    expect(rules).toContain('devices = { "lo" } priority -300;');
    expect(rules).toContain('ip daddr 10.0.0.100 fwd ip to 10.0.0.100 device "br0"');
    expect(rules).toContain('ip6 daddr fd00::100 fwd ip6 to fd00::100 device "br0"');
    expect(refusalRules('cmt_x', network, ports, false)).not.toMatch(/"lo"|drop\n/);
  });
  test('a bridge without another port needs no refusal', () => {
    expect(refusalRules('cmt_x', network, new Map([['br0', ['vweb']]]), true)).not.toContain('refuse');
  });

  test('the table is named after the namespace', () => {
    expect(fenceTable(network)).toMatch(/^cmt_[0-9a-f]{12}$/);
    expect(fenceTable({ ...network, netns: '/run/netns/other' })).not.toBe(fenceTable(network));
  });
});

test('an address elsewhere on this host is a conflict only where the two could meet', () => {
  const bridges = new Set(['br0']);
  expect(mayMeet(inside, [peer], bridges)).toBe(true);
  expect(mayMeet(inside, [{ ...peer, master: undefined }], bridges)).toBe(true);
  expect(mayMeet(inside, [{ ...peer, master: 'docker0' }], bridges)).toBe(false);
  expect(mayMeet(inside, [], bridges)).toBe(false);
});

test('settings that differ from a fresh namespace, and those of a link from its defaults', () => {
  const fresh = parseSysctls('ipv4/ip_forward:0\nipv4/conf/all/arp_ignore:0\ncore/somaxconn:4096\n');
  const own = parseSysctls(
    'ipv4/ip_forward:1\nipv4/conf/all/arp_ignore:0\ncore/somaxconn:4096\nipv4/conf/default/arp_notify:0\n' +
      'ipv4/conf/eth0/arp_notify:1\nipv4/conf/tunl0/arp_notify:1\nipv6/conf/default/mtu:1280\nipv6/conf/eth0/mtu:1400\n' +
      'ipv4/only_here:1\nipv4/ping_group_range:0\t7\n',
  );
  expect(changedSysctls(own, fresh, ['eth0'])).toEqual({
    'ipv4/ip_forward': '1',
    'ipv4/conf/eth0/arp_notify': '1',
  });
});
