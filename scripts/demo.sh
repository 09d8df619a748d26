#!/usr/bin/env bash
# The main job, from a fresh clone: two lab hosts, a Redis under load, there and back. `--json`, `--keep`.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec node dist/demo.js "$@"
