#!/usr/bin/env bash
# Measures routeservice.v1.Features on PostGIS beside bare SQL by pgbench, in a database cluster of its own and all in one run, and prints the
# table.
#   bench/features.sh [--save [NAME]] [--quick]
#     --save    also writes it to bench/results/NAME.md; NAME is today's date and "-features" unless given
#     --quick   one short round with a tenth of the features: whether everything works, not how fast it is
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/features.sh
  exit 0
fi

. bench/tools.sh
need_load_client
need postgresql-15-postgis-3 compgen -G '/usr/share/postgresql/*/extension/postgis.control'
need python3-grpcio /usr/bin/python3 -c 'import grpc'
stop_if_missing

# PostgreSQL does not run as root, and its user must be able to enter the folder.
work=$(mktemp -d)
chmod 711 "$work"
trap 'rm -rf "$work"' EXIT

echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
build_load_client "$work"

/usr/bin/python3 bench/measure_features.py "$work" "$@"
