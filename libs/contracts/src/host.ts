/** Facts about hosts and containers, gathered by workers and judged by the saga. */
import { z } from 'zod';
import { AbsolutePath, ContainerId, Epoch, HostName, MigrationId, Side } from './names.ts';
import { RuntimeName } from './runtime.ts';

const bytes = z.number().min(0);

/** One measurement of something that grows with its bytes. */
export const Cost = z.object({ bytes, ms: z.number().min(0) });
export type Cost = z.infer<typeof Cost>;

/** How many of a kind a host keeps. */
export const KEPT_COSTS = 8;
const costs = z.array(Cost).max(KEPT_COSTS);

/** What the latest hand-overs cost this host inside the blackout, oldest first. */
export const HostCosts = z.object({
  /** As the source: from the order to freeze until all images were at the target, by the bytes of the images. */
  dump: costs,
  /** As the source: the last look at the files, by the bytes carried. */
  files: costs,
  /** As the source, after rounds: from the end of the last one to the order to freeze. Not told by older workers. */
  readying: costs.optional(),
  /** As the target: from the last byte to the opened gate, by the bytes of memory that were there before it ran. */
  restore: costs,
});
export type HostCosts = z.infer<typeof HostCosts>;

const MIB = 1024 * 1024;

/** Bytes of CRIU's image files beside the pages. */
const METADATA_BYTES = 16 * MIB;

/** Bytes that one dump of so much memory takes at most. */
export const imagesNeed = (memory: number): number => Math.ceil(memory * 1.05) + METADATA_BYTES;

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
  features: z.object({
    dirtyTracking: z.boolean(),
    lazyPages: z.boolean(),
    /** Whether its cmt sends and takes images packed by zstd; not announced by older workers, which do not. */
    zstd: z.boolean().optional(),
  }),
  cpus: z.int(),
  /** As /proc/cpuinfo names it; not announced by older workers. */
  cpu: z.object({ model: z.string(), flags: z.array(z.string()).max(1000) }).optional(),
  memoryTotal: bytes,
  memoryAvailable: bytes,
  /** Bytes free where images go. */
  imagesFree: bytes,
  /** Bytes free on the disk that takes images for which there is no room there. */
  spillFree: bytes.optional(),
  /** Bytes free on the root filesystem, where bundles lie unless somebody says otherwise. */
  diskFree: bytes.optional(),
  /** Not there before its first hand-over. */
  costs: HostCosts.optional(),
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
  /** Bytes of memory that a dump would carry; not there where it cannot be told. */
  memory: bytes.optional(),
});
export type ContainerSummary = z.infer<typeof ContainerSummary>;

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
const LinkGroup = z.string().regex(/^[A-Za-z0-9][\w.-]{0,31}$/, 'is no name of a link group');

export const ContainerLink = z.object({
  name: LinkName,
  mac: Mac,
  mtu: z.int(),
  /** With prefix length, e.g. `10.77.0.100/24`. */
  addresses: z.array(Prefixed),
  /** Name of the other end on the source, and the bridge it is attached to on both hosts. */
  hostLink: LinkName,
  bridge: LinkName,
  /** Group of that other end (ip-link(8), `group`), where it is not `default`. */
  hostGroup: LinkGroup.optional(),
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

/** Source: SENDING, FROZEN, then RETIRED or RESUMED. Target: PREPARED, HELD, then COMMITTED, RUNNING, or DISCARDED. */
export const Phase = z.enum([
  'SENDING',
  'FROZEN',
  'RETIRED',
  'RESUMED',
  'PREPARED',
  'HELD',
  'COMMITTED',
  'RUNNING',
  'DISCARDED',
]);
export type Phase = z.infer<typeof Phase>;

/** What a host's journal says of one hand-over, as far as others need it to take it up again (lifecycle H6). */
export const JournalNote = z.object({
  migration: MigrationId,
  epoch: Epoch,
  side: Side,
  phase: Phase,
  runtime: RuntimeName,
  container: ContainerId,
  bundle: AbsolutePath,
  /** The host at the other end. */
  peer: HostName,
  /** Links alone: routes, neighbours and settings are in the journal itself. */
  network: ContainerNetwork,
  /** Source: milliseconds since 1970 at which it was frozen. */
  frozenAt: z.number().nullable(),
  /** Nothing of it is left on this host. */
  closed: z.boolean(),
  updatedAt: z.number(),
});
export type JournalNote = z.infer<typeof JournalNote>;

/** Notes that a host announces at most: those that were written last. */
export const JOURNAL_NOTES = 64;

/** A worker's announcement, renewed while it lives. */
export const HostRecord = z.object({
  v: z.literal(1),
  facts: HostFacts,
  endpoint: HostEndpoint,
  containers: z.array(ContainerSummary),
  /** Hand-overs that are open in its journal, or were closed a short while ago. */
  journal: z.array(JournalNote).max(JOURNAL_NOTES).optional(),
  labels: z.record(z.string(), z.string()).default({}),
  cmtVersion: z.string(),
  startedAt: z.number(),
  seenAt: z.number(),
});
export type HostRecord = z.infer<typeof HostRecord>;

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
