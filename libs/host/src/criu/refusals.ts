/**
 * What CRIU refuses however often it is asked, by the text of its log. `$1` … are the pattern's groups.
 * Not here: what a retry may cure (a connection in flight, a time limit reached, a process caught in vfork).
 */
export interface Refusal {
  readonly text: RegExp;
  readonly reason: string;
  readonly hint: string;
}

const refusal = (text: RegExp, reason: string, hint: string): Refusal => ({ text, reason, hint });

const installCriu = refusal(
  /exec: "criu": executable file not found/,
  'there is no criu',
  'Install criu there (4.0 or newer) and make sure that the worker finds it on PATH.',
);
const brokenCriu = refusal(
  /vdso: Unexpected rt vDSO area bounds/,
  'this criu does not understand the kernel’s vDSO',
  'Install a newer criu there: this kernel is younger than it.',
);

export const knownDumpRefusals: readonly Refusal[] = [
  installCriu,
  brokenCriu,
  refusal(
    /Can't lookup mount=\d+ for fd=(\d+) path=(.*)/,
    'file descriptor $1 ($2) leads out of the container',
    'Start the container with its standard streams on /dev/null or on pipes of its own, and open no files from outside.',
  ),
  refusal(
    /unix: Can't dump half of stream unix connection\.? ?(name: [^;\n]*; peer name: .*)?/,
    'a unix socket is connected to a process outside the container ($1)',
    'Disconnect it before the move, or run both ends in one container.',
  ),
  refusal(
    /unix: (?:External socket is used|Can't dump name-less external socket|Unix socket \d+ not found)/,
    'a unix socket is connected to a process outside the container',
    'Disconnect it before the move (often it is the host’s /dev/log or D-Bus), or run both ends in one container.',
  ),
  refusal(
    /Can't dump file (\d+) of that type \[\d+\] \(anon anon_inode:\[io_uring\]\)/,
    'file descriptor $1 is an io_uring, which CRIU cannot dump',
    'Run the program without io_uring (for Node.js UV_USE_IO_URING=0), or forbid it with a seccomp profile.',
  ),
  refusal(
    /Can't dump file (\d+) of that type \[\d+\] \((\S+ [^\n]*)\)/,
    'file descriptor $1 ($2) is of a kind that CRIU cannot dump',
    'Close it before the move: state of a device or of the kernel lies behind it that cannot be carried.',
  ),
  refusal(
    /tty: Found dangling tty with sid \d+ pgid \d+ \(([^)]*)\) on peer fd (\d+)|Consider using --shell-job/,
    'it uses a terminal outside the container (fd $2 $1)',
    'Start the container detached, with "terminal": false in its config.json, or with its own --console-socket.',
  ),
  refusal(
    /fsnotify: \s*Can't dump that handle/,
    'it watches a file with inotify or fanotify that CRIU cannot find again',
    'Stop the watching before the move, or keep watched files on a file system with stable handles (not overlayfs).',
  ),
  refusal(
    /Can't dump nested (\w+) namespace for (\d+)|Can't dump a (pid) namespace without the process init/,
    'process $2 is in a nested $1$3 namespace (a container or sandbox inside the container)',
    'Stop what runs in it before the move, or move the inner container by itself.',
  ),
  refusal(
    /inet: Connected TCP socket, consider using/,
    'it has established TCP connections, and `--tcp refuse` was asked for',
    'Use `--tcp established` to carry them, or `--tcp close` to have them closed on the target.',
  ),
  refusal(
    /Can't get 1:34 opt: Operation not supported/,
    'this criu is too old for sockets on this kernel (6.16 and newer)',
    'Install criu 4.2 or newer on both hosts.',
  ),
  refusal(
    /inet: Unsupported proto (\d+) for socket/,
    'it uses sockets of IP protocol $1, which CRIU cannot dump',
    'Close them before the move; for MPTCP (262) in Go programs set GODEBUG=multipathtcp=0.',
  ),
  refusal(
    /Can't create link remap for (.*)\. Use link-remap option/,
    'the file $1 is open but was removed, while another name of it remains',
    'Have the program close and open it again.',
  ),
  refusal(
    /Can't dump ghost file (.*) of (\d+) size, increase limit/,
    'the removed file $1 is still open and has $2 bytes, too many to carry in the images',
    'Have the program close it, or keep temporary files on a tmpfs of the container.',
  ),
  refusal(
    /Some file locks are hold by dumping tasks/,
    'it shares a file lock with a process outside the container',
    'Stop the other process that has the file locked.',
  ),
  refusal(
    /skqueue: Control messages in queue, not supported/,
    'a unix socket holds file descriptors that nobody has received yet',
    'Move the container when it is less busy; if it repeats, the program leaves them unread.',
  ),
  refusal(
    /mnt: FS mnt (\S+) dev \S+ root (\S+) unsupported/,
    'the mount $1 is of a file system that CRIU cannot dump (FUSE, for one)',
    'Mount it as a bind mount from the host, so that the target supplies its own.',
  ),
  refusal(
    /mnt[^\n]*: (?:Mount \d+ (\S+)[^\n]*|Sharing group [^\n]*)has unreachable sharing/,
    'the mount $1 propagates to or from the host',
    'Make it private ("rprivate" in the options of config.json).',
  ),
  refusal(
    /Can't dump task (\d+) running in 32-bit mode/,
    'process $1 is a 32 bit program, which this criu cannot dump',
    'Use a criu built with 32 bit support on both hosts.',
  ),
  refusal(
    /Unseizable non-zombie (\d+) found, state ., err -1\/1\b/,
    'process $1 is being traced by a debugger or strace',
    'Detach the debugger.',
  ),
  refusal(
    /iptables-restore returned|Locking network failed/,
    'CRIU cannot block its connections: iptables or nftables do not work there',
    'Install nftables (or iptables) on the host.',
  ),
  refusal(
    /criu is missing features: \[MemTrack\]/,
    'this kernel does not track which pages change (CONFIG_MEM_SOFT_DIRTY)',
    'Use `--mode stop-and-copy`.',
  ),
];

export const knownRestoreRefusals: readonly Refusal[] = [
  installCriu,
  brokenCriu,
  refusal(
    /(?:Can't connect inet socket back|Can't bind inet socket[^:\n]*): (Network is unreachable|Cannot assign requested address)/,
    'a connection’s address or route is not there ($1)',
    'The container’s network must be up on the target before the restore: check its bridge, address and routes.',
  ),
  refusal(
    /Can't bind inet socket[^:\n]*: Address already in use/,
    'a port that it listens on is taken',
    'Free the port on the target (`ss -tlnp`); a container on the host’s network shares all ports with it.',
  ),
  refusal(
    /cpu: (FPU feature required[^\n]*|CPU (?:capabilities|instruction capabilities|xfeatures|xsave)[^\n]*)|FPU xsave area present, but host cpu doesn't support/,
    'this CPU lacks what the container has been using ($1)',
    'Choose a target with the same or a newer CPU (`cmt validate` compares them).',
  ),
  refusal(
    /File (.*) has bad (?:size|build-ID|mode)([^\n]*)/,
    'the file $1 is not the one that was in use on the source (it differs in content or mode)',
    'The bundle on the target must be the same: do not use --shared-rootfs unless it is shared, and pin bind mounts from outside.',
  ),
  refusal(
    /(?:Can't open file|Can't open) (\/?\S+)(?: on restore| with)?[^\n]*: No such file or directory/,
    'the file $1 that was open on the source is missing',
    'The bundle on the target must be complete, and mounts from outside it must exist there with the same content.',
  ),
  refusal(
    /mnt[^\n]*: (?:Can't mount at|No mapping for|Can't bind-mount at) (\S+)/,
    'the mount $1 cannot be made',
    'What is mounted there from outside the bundle must exist on the target.',
  ),
  refusal(
    /Can't fork for (\d+): File exists|Pid (\d+) do not match expected/,
    'process id $1$2 is taken',
    'Give the container a pid namespace of its own.',
  ),
  refusal(
    /Requested network namespace (\S+) does not exist|If a specific network namespace is defined it must exist: (\S+)/,
    'the network namespace $1$2 does not exist',
    'Make it on the target, or let cmt build it from a bridge network.',
  ),
  refusal(
    /container's cgroup (is not empty|unexpectedly frozen)[^\n]*/,
    'a cgroup of that container is left from an earlier run ($1)',
    'Kill what runs in it and remove it (`/sys/fs/cgroup/…/cgroup.kill`, then rmdir).',
  ),
  refusal(
    /JSON specification file config\.json not found|open (\S*config\.json): no such file/,
    'the bundle has no config.json',
    'The bundle did not arrive, or --shared-rootfs names one that is not shared.',
  ),
  refusal(
    /(?:Head magic|Magic) doesn't match for (\S+)/,
    'the image $1 is not one that this criu can read',
    'Use the same version of criu on both hosts.',
  ),
  refusal(
    /apparmor[^\n]*not supported by kernel|selinux[^\n]*not supported by kernel|lsm: [^\n]*(?:can't|Can't) write/,
    'its AppArmor or SELinux profile does not exist there',
    'Load the same security profile on the target.',
  ),
];
