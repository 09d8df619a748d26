#!/usr/bin/env bash
# The kill matrix, from a fresh clone: see test/chaos/main.ts. `--cells`, `--json`, `--list`, `--labs`, `--evidence`.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec node --import tsx test/chaos/main.ts "$@"
