#!/usr/bin/env bash
# Measures a well-behaved client while others attack the service, the time of the shutdown, and the cost of telemetry, all in one run, and
# prints the tables.
#   bench/operations.sh [--save [NAME]] [--quick]
#     --save    also writes them to bench/results/NAME.md; NAME is today's date and "-operations" unless given
#     --quick   short runs: whether everything works
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/operations.sh
  exit 0
fi

. bench/tools.sh
need_load_client
stop_if_missing
if ! ulimit -n 11000; then
  echo "Missing: room for 11 000 open files (ulimit -n)" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
build_load_client "$work"

python3 bench/measure_operations.py "$work" "$@"
