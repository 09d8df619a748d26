#!/bin/bash
# A container that plays a host: sshd for the other hosts, and a worker. Needs to be privileged.
set -euo pipefail
umask 022
name=$(hostname)
mkdir -p /run/sshd /fleet/ssh /fleet/trusted /root/.ssh "$CMT_STATE_DIR"

# Everything but containers lives in a leaf, or cgroup2 hands no controller to the containers' groups.
if [ -w /sys/fs/cgroup/cgroup.subtree_control ]; then
  mkdir -p /sys/fs/cgroup/system
  while read -r pid; do echo "$pid" >/sys/fs/cgroup/system/cgroup.procs 2>/dev/null || true; done </sys/fs/cgroup/cgroup.procs
fi

# This host's own key for the others, kept with its state; what the others may do with theirs is in fleet-keys.sh.
key=$CMT_STATE_DIR/ssh_key
[ -s "$key" ] || ssh-keygen -q -t ed25519 -N '' -C "cmt@$name" -f "$key"
cp "$key.pub" "/fleet/ssh/$name.pub"
chmod 0644 "/fleet/ssh/$name.pub"
ssh-keygen -A >/dev/null
/usr/sbin/sshd -e

exec cmt worker --name "$name" --address "$name" --ssh-key "$key" "$@"
