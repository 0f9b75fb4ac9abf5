#!/usr/bin/env bash
# Measures how a well-behaved client fares while others attack the service, how long the service takes to end, and what telemetry costs, all in one run;
# prints the tables.
#   bench/operations.sh [--save [NAME]] [--quick]
#     --save    also writes them to bench/results/NAME.md; NAME is today's date and "-operations" unless given
#     --quick   short runs: whether everything works
#   H2RG=…/h2rg.cc bench/operations.sh    the load client's source; ../shared/tools/h2rg.cc unless given
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/operations.sh
  exit 0
fi

h2rg=${H2RG:-../shared/tools/h2rg.cc}
missing=()
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
need g++ command -v g++
need libnghttp2-dev test -e /usr/include/nghttp2/nghttp2.h
if ((${#missing[@]})); then
  echo "Missing: apt-get install ${missing[*]}" >&2
  exit 1
fi
if [[ ! -e $h2rg ]]; then
  echo "Missing: $h2rg (H2RG names the load client's source)" >&2
  exit 1
fi
if ! ulimit -n 11000; then
  echo "Missing: room for 11 000 open files (ulimit -n)" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
g++ -O2 -std=c++17 "$h2rg" -o "$work/h2rg" -lnghttp2

python3 bench/measure_operations.py "$work" "$@"
