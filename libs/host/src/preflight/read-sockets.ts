/** What the kernel tells of sockets: its tables in /proc/net, `ss` for the peers of unix sockets, one attribute for the rest. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { entering } from '../network/ip.ts';
import { tryRun } from '../process.ts';
import { parseInodes, parseTcp, parseUnixSockets } from './proc-text.ts';
import type { ScannedProcess, TcpSocket, UnixSocket } from './snapshot.ts';

const limits = (signal: AbortSignal) => ({ timeoutMs: 10_000, signal });

/** TCP sockets of the network namespace of a process. */
export async function readTcp(directory: string): Promise<TcpSocket[]> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => text(join(directory, 'net', name))));
  return tables.flatMap(parseTcp);
}

/** Tables that list sockets of a namespace, and the column of their inodes (proc_pid_net(5)). */
const TABLES = {
  ...{ tcp: 9, tcp6: 9, udp: 9, udp6: 9, udplite: 9, udplite6: 9, raw: 9, raw6: 9, icmp: 9, icmp6: 9 },
  ...{ unix: 6, packet: 8, netlink: 9 },
};

/** Inodes of all listed sockets of the network namespace of a process. */
export async function readSocketInodes(directory: string): Promise<Set<number>> {
  const inodes = await Promise.all(
    Object.entries(TABLES).map(async ([name, column]) =>
      parseInodes(await text(join(directory, 'net', name)), column),
    ),
  );
  return new Set(inodes.flat().filter((inode) => inode > 0));
}

/** Unix sockets with their peers, by inode (ss(8), unix_diag); null when there is no `ss` or it fails. */
export async function readUnixSockets(
  netns: string,
  signal: AbortSignal,
): Promise<Map<number, UnixSocket> | null> {
  const finished = await tryRun(...entering(netns, ['ss', '-xanH']), limits(signal)).catch(() => null);
  return finished?.code === 0 ? new Map(parseUnixSockets(finished.stdout)) : null;
}

/**
 * Prints `<path> <protocol>` of each socket named on standard input. The protocol is the extended attribute
 * `system.sockprotoname` (net/socket.c), which Node cannot read; getxattr is 191 on x86-64 and 8 on the generic table.
 */
const READ_PROTOCOLS = `
use POSIX (); my $getxattr = (POSIX::uname())[4] eq "x86_64" ? 191 : 8;
my $name = "system.sockprotoname";
while (my $path = <STDIN>) {
  chomp $path; my $value = "\\0" x 64;
  my $length = syscall($getxattr, $path, $name, $value, 64);
  print "$path ", unpack("Z*", $value), "\\n" if $length > 0;
}`;

/** Protocol names of a container's sockets by inode; null where there is no perl to ask. */
export async function readProtocols(
  processes: readonly ScannedProcess[],
  proc: string,
  signal: AbortSignal,
): Promise<Map<number, string> | null> {
  const paths = new Map<string, number>();
  for (const { pid, files } of processes)
    for (const { fd, status } of files)
      if (status?.kind === 'socket') paths.set(join(proc, `${pid}/fd/${fd}`), status.inode);
  if (paths.size === 0) return new Map();
  const input = `${[...paths.keys()].join('\n')}\n`;
  const finished = await tryRun('perl', ['-e', READ_PROTOCOLS], { ...limits(signal), input }).catch(
    () => null,
  );
  if (finished?.code !== 0) return null;
  const named = finished.stdout.split('\n').flatMap((line): [number, string][] => {
    const [path = '', protocol] = line.split(' ');
    const inode = paths.get(path);
    return inode === undefined || protocol === undefined ? [] : [[inode, protocol]];
  });
  return new Map(named);
}

const text = async (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
