#!/usr/bin/env bash
# The ways to move a container against each other, from a fresh clone: see test/bench/main.ts. `--json`, `--size`, `--dirty`, `--runs`, `--modes`.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec node --import tsx test/bench/main.ts "$@"
