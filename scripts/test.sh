#!/usr/bin/env bash
# All suites, from a fresh clone to the closing line `N passed, N failed, N skipped`; what waits beside what computes.
# `npm test -- unit live` runs only those; suites: verify unit integration simulator board live chaos kernel.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec node scripts/test.mjs "$@"
