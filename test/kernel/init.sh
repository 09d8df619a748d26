#!/bin/bash
# PID 1 of the virtual machine, from its second disk: mounts, the modules that CRIU and a lab need, the program, and off.
# CMT_ROOTFS, from the kernel's command line: the lab's name of the root filesystem that this one is.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C
umask 022
mount -t proc proc /proc
since_boot() { echo "$(cut -d' ' -f1 /proc/uptime) s: $*"; }
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for dir in /dev/shm /tmp; do mount -t tmpfs -o mode=1777 tmpfs "$dir"; done
mkdir -p /srv/containers /var/lib/cmt
for dir in /run /srv/containers /var/lib/cmt; do mount -t tmpfs -o mode=755 tmpfs "$dir"; done
for module in unix_diag inet_diag tcp_diag udp_diag netlink_diag af_packet_diag \
  veth bridge overlay tun fuse nf_tables; do
  modprobe "$module"
done
ip link set lo up
# As the kernel of a build machine has it: where a huge page is written, all 512 pages of it count as written.
echo madvise > /sys/kernel/mm/transparent_hugepage/enabled
# The lab builds its hosts upon this very root filesystem; nothing that is mounted here is seen through a bind of it.
mkdir -p "/var/cache/cmt/$CMT_ROOTFS"
mount --bind / "/var/cache/cmt/$CMT_ROOTFS"
since_boot 'the program begins'
export PATH="/cmt/bin:$PATH" CMT_TEST_SLOWNESS=10
node /cmt/dist/program.js /dev/ttyS1 < /dev/null
since_boot "the program has ended with $?"
echo o > /proc/sysrq-trigger
sleep infinity
