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
missing_packages() {
  while read -r program package; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || echo "$package"
  done <<'LIST'
debootstrap debootstrap
redis-server redis-server
rsync rsync
nft nftables
ip iproute2
ssh openssh-client
sshd openssh-server
unshare util-linux
systemd-analyze systemd
chromium chromium
LIST
}

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
  packages=$(missing_packages | sort -u | tr '\n' ' ')
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
install_packages
install_modules
node scripts/build.mjs >&2
