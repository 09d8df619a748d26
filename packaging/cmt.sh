#!/bin/sh
# cmt with the Node that it was built with: nothing is asked of the machine but a C library.
umask 077
root=$(dirname "$(dirname "$(readlink -f "$0")")")
# See libs/host/src/node-flags.ts.
case ${1-} in
worker) small='--optimize-for-size --v8-pool-size=1 --no-opt' ;;
coordinator) small='--max-semi-space-size=8 --v8-pool-size=1' ;;
*) small= ;;
esac
exec "$root/runtime/node" $small "$root/lib/cli.js" "$@"
