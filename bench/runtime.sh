#!/usr/bin/env bash
# Measures the gRPC runtime alone, beside bare Kestrel and streams that flush each message, in one run, and prints two tables.
#   bench/runtime.sh [--save [NAME]] [--quick]
#     --save    also writes them to bench/results/NAME.md; NAME is today's date and "-runtime" unless given
#     --quick   one short round: whether everything works, not how fast it is
#   H2RG=…/h2rg.cc bench/runtime.sh    the load client; ../shared/tools/h2rg.cc unless given
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/runtime.sh
  exit 0
fi

save='' seconds=3 rounds=5
while (($#)); do
  case $1 in
    --save)
      save=$(date +%F)-runtime
      if [[ -n ${2-} && $2 != --* ]]; then save=$2 && shift; fi ;;
    --quick) seconds=0.5 rounds=1 ;;
    *) echo "Unknown: $1" >&2 && exit 1 ;;
  esac
  shift
done

h2rg=${H2RG:-../shared/tools/h2rg.cc}
if [[ ! -e $h2rg || ! -e /usr/include/nghttp2/nghttp2.h ]] || ! command -v g++ >/dev/null; then
  echo "Missing: $h2rg (H2RG names it), or apt-get install g++ libnghttp2-dev" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dotnet build bench/Runtime -c Release --nologo -v quiet >&2
g++ -O2 -std=c++17 "$h2rg" -o "$work/h2rg" -lnghttp2

{
  echo "# The gRPC runtime alone, $(date +%F)"
  echo
  echo "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores for server and client together; Linux $(uname -r); .NET SDK $(dotnet --version)." \
    "Commit $(git rev-parse --short HEAD). \`bench/runtime.sh\`: the median of $rounds rounds of $seconds s after a warm-up; how to read it: bench/README.md."
  echo
  dotnet bench/Runtime/bin/Release/net10.0/RouteService.Runtime.Bench.dll "$work/h2rg" "$seconds" "$rounds"
} | tee "$work/report.md"
if [[ -n $save ]]; then
  mkdir -p bench/results
  cp "$work/report.md" "bench/results/$save.md"
fi
