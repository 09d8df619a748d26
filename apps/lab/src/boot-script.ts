/**
 * What PID 1 of a host runs, in bash, from the first moment in its new namespaces until it is killed.
 *
 * A constant with arguments, never text that is put together: HOST_DIR ROOTFS NAME SHARE...
 * bash stays as init because it reaps whatever is orphaned to it: a restored container's parent is gone.
 */
export const bootScript = `set -eu
umask 022
host_dir=$1 rootfs=$2 name=$3
shift 3
root=$host_dir/root

# Nothing may keep a file of the machine open: a container could inherit it, and CRIU cannot dump it.
for fd in $(ls /proc/self/fd); do
  if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi
done

mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$rootfs,upperdir=$host_dir/upper,workdir=$host_dir/work" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys"
# Directly here: with a tmpfs in between, runc finds no cgroup mount.
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"

mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
mkdir "$root/dev/net" "$root/dev/pts" "$root/dev/shm"
for node in null zero full random urandom tty net/tun userfaultfd fuse; do
  if [ -e "/dev/$node" ]; then cp -a "/dev/$node" "$root/dev/$node"; fi
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"

mkdir -p "$root/var/log/cmt"
mount --bind "$host_dir/log" "$root/var/log/cmt"
for share in "$@"; do
  if [ -d "$share" ]; then
    mkdir -p "$root$share"
  else
    mkdir -p "$root\${share%/*}"
    : >> "$root$share"
  fi
  mount --bind "$share" "$root$share"
  mount -o remount,bind,ro "$root$share"
done

cd "$root"
pivot_root . .
umount -l .
cd /
hostname "$name"

# Everything but containers lives in a leaf, or cgroup2 hands no controller to the containers' groups.
mkdir -p /sys/fs/cgroup/system
echo 0 > /sys/fs/cgroup/system/cgroup.procs
# Of the whole machine; without them lazy pages die with "tee: Operation not permitted".
for setting in pipe-user-pages-soft:0 pipe-max-size:16777216; do
  (echo "\${setting#*:}" > "/proc/sys/fs/\${setting%:*}") 2>/dev/null || true
done

mkdir -p /run/sshd /run/lock
/usr/sbin/sshd -E /var/log/cmt/sshd.log
for try in $(seq 500); do
  if [ -s /run/sshd.pid ]; then break; fi
  sleep 0.01
done
[ -s /run/sshd.pid ]

echo ready
exec -a "init of lab host $name" bash -c 'while :; do sleep infinity & wait $!; done' \\
  < /dev/null > /dev/null 2>&1
`;
