#!/usr/bin/env bash
# Measures RouteService beside a plain Go and a plain Python server of the same contract, all in one run, and prints a table.
#   bench/run.sh [--save [NAME]] [--quick]
#     --save    also writes the table to bench/results/NAME.md; NAME is today's date unless given
#     --quick   one short round: whether everything works, not how fast it is
#   H2RG=…/h2rg.cc bench/run.sh    the load client, with mkdb.py and mkbody.py beside it; ../shared/tools/h2rg.cc unless given
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/run.sh
  exit 0
fi

h2rg=${H2RG:-../shared/tools/h2rg.cc}
tools=$(dirname "$h2rg")
python=/usr/bin/python3 # Debian's grpcio is Debian's Python's.

missing=()
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
need g++ command -v g++
need libnghttp2-dev test -e /usr/include/nghttp2/nghttp2.h
need protobuf-compiler command -v protoc
need protobuf-compiler-grpc command -v grpc_python_plugin
need python3-grpcio "$python" -c 'import grpc.aio'
need python3-protobuf "$python" -c 'import google.protobuf'
need golang-go command -v go
need golang-google-grpc-dev test -d /usr/share/gocode/src/google.golang.org/grpc
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

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
g++ -O2 -std=c++17 "$h2rg" -o "$work/h2rg" -lnghttp2

mkdir -p "$work/python" "$work/go/src/routeguide"
protoc -I protos --python_out="$work/python" --grpc_python_out="$work/python" \
  --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" route_guide.proto

# Debian's Go packages are sources in a GOPATH; the generator that belongs to them is built from there.
export GO111MODULE=off GOPATH="$work/go:/usr/share/gocode" GOFLAGS=-buildvcs=false
go build -o "$work/protoc-gen-go" github.com/golang/protobuf/protoc-gen-go
protoc -I protos --plugin="$work/protoc-gen-go" --go_out=plugins=grpc:"$work/go/src/routeguide" route_guide.proto
go build -o "$work/go-peer" ./bench/peers/go

for count in 100 100000; do
  "$python" "$tools/mkdb.py" synth "$count" "$work/$count.json"
  "$python" "$tools/mkbody.py" "$work/$count.json" "$work/bodies-$count" >/dev/null
done

"$python" bench/measure.py "$work" "$@"
