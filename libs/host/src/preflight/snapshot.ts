/** A container's processes as the scan sees them: read once, then judged by pure checks. */
import type { HostName, TcpPolicy } from '@cmt/contracts';

export interface ProcessName {
  readonly pid: number;
  readonly comm: string;
}

export const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'] as const;
export type NamespaceName = (typeof NAMESPACES)[number];
/** `mnt:[4026531841]` and so on, as the links in /proc/PID/ns read; what cannot be read is not there. */
export type Namespaces = Readonly<Partial<Record<NamespaceName, string>>>;

export type FileKind = 'regular' | 'directory' | 'character' | 'block' | 'fifo' | 'socket' | 'other';

/** One open file (proc_pid_fd(5), proc_pid_fdinfo(5)). */
export interface OpenFile {
  readonly fd: number;
  /** What the link reads: a path, `pipe:[7]`, `socket:[8]`, `anon_inode:[eventfd]`. */
  readonly target: string;
  /** Mount that it was opened on, or null where the kernel does not say. */
  readonly mount: number | null;
  /** Null where it could not be looked at. */
  readonly status: FileStatus | null;
  /** The text of /proc/PID/fdinfo/FD. */
  readonly info: string;
}

export interface FileStatus {
  readonly kind: FileKind;
  readonly inode: number;
  readonly links: number;
  readonly bytes: number;
  /** Device number that a device node stands for, `major:minor`. */
  readonly device: string;
}

export interface ScannedProcess extends ProcessName {
  readonly parent: number;
  /** Process that traces it, 0 for none. */
  readonly tracer: number;
  /** Letter of /proc/PID/stat: `Z` has nothing left to dump. */
  readonly state: string;
  readonly namespaces: Namespaces;
  readonly files: readonly OpenFile[];
  /** Names of mappings that are neither plain memory nor plain files: devices, kernel objects, System V segments. */
  readonly mappings: readonly string[];
}

/** One mount of a container's mount namespace (proc_pid_mountinfo(5)). */
export interface Mount {
  readonly id: number;
  /** `major:minor` of its file system. */
  readonly device: string;
  readonly point: string;
  readonly type: string;
}

export interface UnixSocket {
  /** `u_str`, `u_seq` or `u_dgr`. */
  readonly type: string;
  /** Inode of the socket at the other end, 0 for none. */
  readonly peer: number;
  readonly path: string;
}

export interface TcpSocket {
  readonly inode: number;
  readonly local: string;
  readonly remote: string;
  /** Established, or on its way out: anything but listening and closed. */
  readonly connected: boolean;
}

export interface Snapshot {
  readonly host: HostName;
  /** Process id of the container's init. */
  readonly init: number;
  readonly processes: readonly ScannedProcess[];
  readonly mounts: readonly Mount[];
  /** Pipes that processes outside the container hold too, by inode. */
  readonly pipesOutside: ReadonlyMap<number, ProcessName>;
  /** Unix sockets of the container's network namespace by inode; null where nobody could list them. */
  readonly unixSockets: ReadonlyMap<number, UnixSocket> | null;
  readonly tcpSockets: readonly TcpSocket[];
  /** Inodes of sockets in the host's network namespace, when that is not the container's. */
  readonly hostSockets: ReadonlySet<number>;
  /** Protocol names by inode (`TCP`, `MPTCP`, `AF_VSOCK`); null where nobody could read them. */
  readonly protocols: ReadonlyMap<number, string> | null;
  /** Processes outside the container in its network namespace; none when that is the host's own. */
  readonly netnsSharers: readonly ProcessName[];
  readonly hostNamespaces: Namespaces;
  readonly circumstances: Circumstances;
}

/** What the checks must know besides the processes. */
export interface Circumstances {
  readonly tcp: TcpPolicy;
  /** Version of criu, or null. */
  readonly criu: string | null;
  /** config.json asks for a terminal. */
  readonly terminal: boolean;
  /** config.json has system calls decided by a listener outside. */
  readonly seccompNotify: boolean;
  /** Where config.json mounts something: the runtime makes these mounts anew on the target. */
  readonly mountPoints: readonly string[];
}
