#!/usr/bin/env bash
# Measures with BenchmarkDotNet what RouteService.Client costs beside the bare stub on the same channel, and prints the table.
#   bench/sdk.sh [--save [NAME]] [--quick] [CLASS ...]
#     --save    also writes it to bench/results/NAME.md; NAME is today's date and "-sdk" unless given
#     --quick   short rounds: whether everything works, not how fast it is
#     CLASS     only these: GetFeature, ListFeatures, ConnectedGetFeature, RecordRoute, PostAsync
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/sdk.sh
  exit 0
fi

save='' rounds=6 classes=()
while (($#)); do
  case $1 in
    --save)
      save=$(date +%F)-sdk
      if [[ ${2-} == *-* && $2 != --* ]]; then save=$2 && shift; fi ;;
    --quick) rounds=2 ;;
    GetFeature | ListFeatures | ConnectedGetFeature | RecordRoute | PostAsync) classes+=("$1") ;;
    *) echo "Unknown: $1" >&2 && exit 1 ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
dotnet build bench/Sdk -c Release --nologo -v quiet >&2

{
  echo "# RouteService.Client beside the bare stub, $(date +%F)"
  echo
  echo "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores; Linux $(uname -r); .NET SDK $(dotnet --version)." \
    "Commit $(git rev-parse --short HEAD). \`bench/sdk.sh\`: the best of three turns of $rounds rounds, each after as many to warm up; how to read it: bench/README.md."
  echo
  dotnet bench/Sdk/bin/Release/net10.0/RouteService.Sdk.Bench.dll "$work" "$rounds" "${classes[@]}" 2>"$work/log" || {
    cat "$work/log" >&2
    exit 1
  }
} | tee "$work/report.md"
if [[ -n $save ]]; then
  mkdir -p bench/results
  cp "$work/report.md" "bench/results/$save.md"
fi
