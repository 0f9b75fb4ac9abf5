#!/usr/bin/env bash
# Measures RouteService on PostGIS beside psql's \copy, in a database cluster of its own and all in one run, and prints the tables.
#   bench/postgis.sh [--save [NAME]] [--quick]
#     --save    also writes them to bench/results/NAME.md; NAME is today's date and "-postgis" unless given
#     --quick   one short round with a tenth of the features: whether everything works, not how fast it is
#   H2RG=…/h2rg.cc bench/postgis.sh    the load client, with mkdb.py and mkbody.py beside it; ../shared/tools/h2rg.cc unless given
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/postgis.sh
  exit 0
fi

h2rg=${H2RG:-../shared/tools/h2rg.cc}
tools=$(dirname "$h2rg")

missing=()
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
need g++ command -v g++
need libnghttp2-dev test -e /usr/include/nghttp2/nghttp2.h
need postgresql-15-postgis-3 compgen -G '/usr/share/postgresql/*/extension/postgis.control'
if ((${#missing[@]})); then
  echo "Missing: apt-get install ${missing[*]}" >&2
  exit 1
fi
for tool in "$h2rg" "$tools/mkdb.py" "$tools/mkbody.py"; do
  if [[ ! -e $tool ]]; then
    echo "Missing: $tool (H2RG names the load client's source; mkdb.py and mkbody.py are beside it)" >&2
    exit 1
  fi
done

features=1000000
if [[ " $* " == *" --quick "* ]]; then
  features=100000
fi

# A server does not run as root, and whom it runs as has to come to its folder.
work=$(mktemp -d)
chmod 711 "$work"
trap 'rm -rf "$work"' EXIT

echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
g++ -O2 -std=c++17 "$h2rg" -o "$work/h2rg" -lnghttp2

echo "Making $features features" >&2
python3 "$tools/mkdb.py" synth "$features" "$work/features.json"
python3 "$tools/mkbody.py" "$work/features.json" "$work/bodies" >/dev/null

python3 bench/measure_postgis.py "$work" "$@"
