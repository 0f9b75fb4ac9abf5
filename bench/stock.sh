#!/usr/bin/env bash
# Measures what the service costs over a bare greeter on the same packages, Grpc.AspNetCore, and over an earlier build of itself, all in one
# run, and prints the tables. Takes about fifteen minutes.
#   bench/stock.sh [--save [NAME]] [--quick] [--rounds COUNT] [--base COMMIT]
#     --save    also writes them to bench/results/NAME.md; NAME is today's date and "-stock" unless given
#     --quick   one short round: whether everything works, not how fast it is
#     --rounds  how many measurements each median is of; 5 unless given
#     --base    the commit to measure beside; e42bf11 unless given, the last one on a gRPC runtime of its own
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/stock.sh
  exit 0
fi

. bench/tools.sh
need_load_client
stop_if_missing

base=e42bf11 options=()
while (($#)); do
  case $1 in
    --base) base=${2:?--base needs a commit} && shift ;;
    *) options+=("$1") ;;
  esac
  shift
done
if ! commit=$(git rev-parse --verify --short "$base^{commit}" 2>/dev/null); then
  echo "$base is not a commit of this repository; a shallow clone has to fetch it first" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'git worktree remove --force "$work/source" 2>/dev/null; rm -rf "$work"' EXIT

# publish PROJECT FOLDER: the Release build.
publish() { dotnet publish "$1" -c Release --nologo -v quiet -o "$2" >&2; }

echo "Building" >&2
publish bench/Bare "$work/bare"
publish src/Api "$work/head"
echo "Building $commit" >&2
git worktree add --quiet --detach "$work/source" "$commit"
(cd "$work/source" && publish src/Api "$work/base")
build_load_client "$work"

python3 bench/measure_stock.py "$work" "$commit" ${options[@]+"${options[@]}"}
