#!/usr/bin/env bash
# Makes a fresh Debian machine ready for cmt: system packages, npm packages, the built programs.
# Idempotent; says what it does; starts no service.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

need_node() {
  node -e 'const [a,b]=process.versions.node.split(".").map(Number); process.exit(a>20||(a===20&&b>=19)?0:1)' 2>/dev/null ||
    { say "Node 20.19 or newer is needed, found $(node --version 2>/dev/null || echo none)"; exit 1; }
}

# Programs that cmt and its tests use, and the Debian package of each.
PROGRAMS='debootstrap debootstrap
redis-server redis-server
rsync rsync
nft nftables
ip iproute2
ssh openssh-client
sshd openssh-server
unshare util-linux
systemd-analyze systemd
chromium chromium'
# Those of the kernel suite's virtual machine, which is x86-64 and made by root.
MACHINE_PROGRAMS='qemu-system-x86_64 qemu-system-x86
mkfs.ext4 e2fsprogs
depmod kmod'
KERNEL=/var/cache/cmt/kernel

missing_packages() {
  while read -r program package; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || echo "$package"
  done <<<"$1"
}

# What the kernel suite needs. Without it that suite says why it was skipped; everything else runs.
prepare_machine() {
  if [ "$(uname -m)" != x86_64 ] || [ "$(id -u)" != 0 ]; then return 0; fi
  install_packages "$MACHINE_PROGRAMS" && unpack_kernel ||
    say 'WARNING: qemu, or a kernel for it, could not be had; where there is none the kernel suite is skipped'
}

# Debian's own kernel, unpacked beside the lab's root filesystem, never installed over this machine's. Made anew when its recipe changes.
unpack_kernel() {
  local recipe scratch rc=0
  recipe=$(declare -f unpack_kernel kernel_package fetch_kernel | sha256sum | cut -c1-12)
  [ "$(cat "$KERNEL/recipe" 2>/dev/null)" != "$recipe" ] || return 0
  say "unpacking a kernel for the kernel suite's virtual machine to $KERNEL"
  scratch=$(mktemp -d)
  fetch_kernel "$scratch" && echo "$recipe" >"$scratch/kernel/recipe" &&
    mkdir -p "$(dirname "$KERNEL")" && rm -rf "$KERNEL.unfinished" && cp -a "$scratch/kernel" "$KERNEL.unfinished" &&
    rm -rf "$KERNEL" && mv "$KERNEL.unfinished" "$KERNEL" || rc=1
  rm -rf "$scratch"
  return $rc
}
fetch_kernel() {
  local package
  package=$(kernel_package)
  [ -n "$package" ] || { apt-get update -qq >&2; package=$(kernel_package); }
  # As root: the user that apt downloads as by itself may not write there.
  [ -n "$package" ] && (cd "$1" && apt-get -o APT::Sandbox::User=root download -qq "$package" >&2 && dpkg-deb -x ./*.deb kernel)
}
kernel_package() { apt-cache depends linux-image-cloud-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1; }

# Debian starts a daemon as soon as its package is unpacked; none of ours may run by itself.
without_daemons() {
  local policy=/usr/sbin/policy-rc.d
  if [ -e "$policy" ]; then "$@"; return; fi
  printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
  trap 'rm -f /usr/sbin/policy-rc.d' RETURN EXIT
  "$@"
}

install_packages() {
  local packages
  packages=$(missing_packages "$1" | sort -u | tr '\n' ' ')
  [ -z "$packages" ] && return 0
  [ "$(id -u)" = 0 ] || { say "these packages are missing, run as root: $packages"; exit 1; }
  say "installing $packages"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  # shellcheck disable=SC2086 # a list of package names
  without_daemons apt-get install -y -qq --no-install-recommends $packages >&2
}

install_modules() {
  [ node_modules/.package-lock.json -nt package-lock.json ] && return 0
  say 'installing npm packages'
  npm ci --no-audit --no-fund --loglevel=error >&2
  touch node_modules/.package-lock.json
}

need_node
install_packages "$PROGRAMS"
prepare_machine
install_modules
node scripts/build.mjs >&2
