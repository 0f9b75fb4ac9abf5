#!/usr/bin/env bash
# Measures WatchFeatures on PostGIS: single writes, their changes at another replica, and what the change log costs an import; prints the tables.
#   bench/watch.sh [--save [NAME]] [--quick]
#     --save    also writes them to bench/results/NAME.md; NAME is today's date and "-watch" unless given
#     --quick   short runs: whether everything works
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/watch.sh
  exit 0
fi

. bench/tools.sh
need postgresql-15-postgis-3 compgen -G '/usr/share/postgresql/*/extension/postgis.control'
stop_if_missing

# PostgreSQL does not run as root, and its user must be able to enter the folder.
work=$(mktemp -d)
chmod 711 "$work"
trap 'rm -rf "$work"' EXIT
echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
dotnet build bench/Chat -c Release --nologo -v quiet >&2

python3 bench/measure_watch.py "$work" "$@"
