/** Facts about hosts and containers, gathered by workers and judged by the saga. */
import { z } from 'zod';
import { AbsolutePath, ContainerId, Epoch, HostName, MigrationId, Side } from './names.ts';
import { RuntimeName } from './migration.ts';

const bytes = z.number().min(0);

/** What one host offers. Gathered afresh for every migration, and announced by its worker. */
export const HostFacts = z.object({
  name: HostName,
  kernel: z.string(),
  arch: z.string(),
  /** Version strings as the tools print them; null where the tool is not there. */
  criu: z.string().nullable(),
  runtimes: z.partialRecord(RuntimeName, z.string()),
  /** The first problem `criu check` names, or null when it says that all looks good. */
  criuProblem: z.string().nullable(),
  features: z.object({ dirtyTracking: z.boolean(), lazyPages: z.boolean() }),
  cpus: z.int(),
  memoryTotal: bytes,
  memoryAvailable: bytes,
  /** Bytes free where images go. */
  imagesFree: bytes,
});
export type HostFacts = z.infer<typeof HostFacts>;

/** How other hosts reach this one. */
export const HostEndpoint = z.object({
  address: z.string(),
  sshPort: z.int(),
  sshUser: z.string(),
  /** OpenSSH public host keys (`ssh-ed25519 AAAA…`), pinned by the fleet's registry. */
  sshHostKeys: z.array(z.string()),
  /** Unix socket of the receiver, reached through ssh. */
  receiveSocket: AbsolutePath,
  /** Port of the receiver on `address` for `--transport tcp`. */
  receivePort: z.int(),
  /** Ed25519 public key (SPKI, base64) with which this host proves itself to a receiver. */
  publicKey: z.string(),
});
export type HostEndpoint = z.infer<typeof HostEndpoint>;

export const ContainerSummary = z.object({
  id: ContainerId,
  runtime: RuntimeName,
  status: z.string(),
  bundle: z.string(),
  pid: z.int(),
});
export type ContainerSummary = z.infer<typeof ContainerSummary>;

/** A hand-over that is open on a host, as its journal had it when the host announced itself. */
export const HandOver = z.object({
  migration: MigrationId,
  side: Side,
  epoch: Epoch,
  phase: z.string(),
  /** Milliseconds since 1970 on that host's clock. */
  updatedAt: z.number(),
});
export type HandOver = z.infer<typeof HandOver>;

/** A worker's announcement, renewed while it lives. */
export const HostRecord = z.object({
  v: z.literal(1),
  facts: HostFacts,
  endpoint: HostEndpoint,
  containers: z.array(ContainerSummary),
  handOvers: z.array(HandOver).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  cmtVersion: z.string(),
  startedAt: z.number(),
  seenAt: z.number(),
});
export type HostRecord = z.infer<typeof HostRecord>;

/** One reason for or against a move. Hard ones are never forced; soft ones turn into warnings with `--force`. */
export const Finding = z.object({
  /** Stable name in capitals, e.g. `STREAM_OUTSIDE`. */
  code: z.string(),
  severity: z.enum(['hard', 'soft', 'note']),
  host: HostName,
  /** What is wrong, with process and file descriptor where there is one. */
  message: z.string(),
  remedy: z.string(),
});
export type Finding = z.infer<typeof Finding>;

/** What may stand in a command for ip(8): nothing that it would read as a second word. */
const LinkName = z.string().regex(/^[\w.-]{1,15}$/, 'the name of a network interface');
const Mac = z.string().regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/, 'a MAC address');
const Ip = z.union([z.ipv4(), z.ipv6()]);
const Prefixed = z.union([z.cidrv4(), z.cidrv6()]);
const NetnsPath = AbsolutePath.regex(/^[\w./+@:-]+$/, 'a path of letters, digits and ./+@:-');

/** One network interface of a container, as it must look again on the target. */
export const ContainerLink = z.object({
  name: LinkName,
  mac: Mac,
  mtu: z.int(),
  /** With prefix length, e.g. `10.77.0.100/24`. */
  addresses: z.array(Prefixed),
  /** Name of the other end on the source, and the bridge it is attached to on both hosts. */
  hostLink: LinkName,
  bridge: LinkName,
});
export type ContainerLink = z.infer<typeof ContainerLink>;

export const ContainerRoute = z.object({
  /** With prefix length always (`0.0.0.0/0` and `::/0` for the default), so that the family is clear. */
  to: Prefixed,
  via: Ip.optional(),
  dev: LinkName,
  /** Source address that packets of this route prefer. */
  src: Ip.optional(),
  metric: z.int().optional(),
  /** The gateway is reached on the link although no address says so. */
  onlink: z.boolean().optional(),
});
export type ContainerRoute = z.infer<typeof ContainerRoute>;

export const Neighbour = z.object({
  address: Ip,
  mac: Mac,
  dev: LinkName,
  permanent: z.boolean().optional(),
});
export type Neighbour = z.infer<typeof Neighbour>;

/** Settings of a network namespace that differ from a fresh one: path below /proc/sys/net, and value. */
const Sysctls = z.record(
  z.string().regex(/^[a-z0-9_]+(\/[\w-][\w.-]*)+$/, 'a path below /proc/sys/net'),
  z
    .string()
    .max(256)
    .regex(/^[\t\u0020-\u007e]*$/, 'one line of text'),
);

/** A container's network: its own namespace on bridges, the host's, or none to speak of. */
export const ContainerNetwork = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('host') }),
  /** Nothing but the loopback; `netns` where the namespace has a path, which must then exist on the target too. */
  z.object({ kind: z.literal('none'), netns: NetnsPath.optional(), sysctls: Sysctls.optional() }),
  z.object({
    kind: z.literal('bridge'),
    netns: NetnsPath,
    links: z.array(ContainerLink),
    routes: z.array(ContainerRoute),
    /** Known peers, handed over so that the restored side need not ask for them. */
    neighbours: z.array(Neighbour),
    sysctls: Sysctls.optional(),
  }),
]);
export type ContainerNetwork = z.infer<typeof ContainerNetwork>;

/** A running container, looked at from outside. */
export const Inspection = z.object({
  container: ContainerId,
  runtime: RuntimeName,
  bundle: AbsolutePath,
  rootfs: AbsolutePath,
  pids: z.int(),
  /** Bytes of memory that a dump has to carry (resident anonymous and shared). */
  memory: bytes,
  /** Bytes of the bundle with its root filesystem. */
  files: bytes,
  /** Established TCP connections inside. */
  tcpConnections: z.int(),
  network: ContainerNetwork,
  /** Bind mounts from outside the bundle that must exist on the target. */
  mounts: z.array(z.object({ source: z.string(), destination: z.string() })),
  /** CRIU's description of this CPU (cpuinfo.img of `criu cpuinfo dump`), base64. */
  cpuinfo: z.string(),
});
export type Inspection = z.infer<typeof Inspection>;

/** What the target says when asked whether it could take the container. */
export const TargetSurvey = z.object({
  facts: HostFacts,
  /** Output of `criu cpuinfo check` against the source's image; null when it passes. */
  cpuProblem: z.string().nullable(),
  nameTaken: z.boolean(),
  addressesTaken: z.array(z.string()),
  missingBridges: z.array(z.string()),
  missingMounts: z.array(z.string()),
  /** `absent`, `ours` (left there by an earlier migration of this container), or `foreign`. */
  bundle: z.enum(['absent', 'ours', 'foreign']),
  /** Bytes free where the bundle goes. */
  bundleFree: bytes,
  rsync: z.boolean(),
  busyWith: MigrationId.nullable(),
});
export type TargetSurvey = z.infer<typeof TargetSurvey>;
