#!/bin/sh
# cmt with the Node that it was built with: nothing is asked of the machine but a C library.
umask 077
root=$(dirname "$(dirname "$(readlink -f "$0")")")
small=
[ "${1-}" != worker ] || small='--optimize-for-size --v8-pool-size=1 --no-opt' # see libs/host/src/worker-node.ts
exec "$root/runtime/node" $small "$root/lib/cli.js" "$@"
