#!/bin/sh
# cmt with the Node that it was built with: nothing is asked of the machine but a C library.
umask 077
root=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$root/runtime/node" "$root/lib/cli.js" "$@"
