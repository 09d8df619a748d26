#!/bin/sh
# Runs the coordinator; its public key goes to where the hosts look for those that they obey.
set -eu
mkdir -p /fleet/trusted
key=$CMT_STATE_DIR/keys/cmt.pub
(
  until [ -s "$key" ]; do sleep 0.2; done
  cp "$key" /fleet/trusted/coordinator.draft
  mv /fleet/trusted/coordinator.draft /fleet/trusted/coordinator.pub
) &
exec cmt coordinator "$@"
