#!/usr/bin/env bash
# Measures RouteService beside a plain Go and a plain Python server of the same contract, all in one run, and prints a table.
#   bench/run.sh [--save [NAME]] [--quick]
#     --save    also writes the table to bench/results/NAME.md; NAME is today's date unless given
#     --quick   one short round: whether everything works, not how fast it is
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' bench/run.sh
  exit 0
fi

. bench/tools.sh
python=/usr/bin/python3 # Debian's grpcio is for Debian's Python.

need_load_client
need protobuf-compiler command -v protoc
need protobuf-compiler-grpc command -v grpc_python_plugin
need python3-grpcio "$python" -c 'import grpc.aio'
need python3-protobuf "$python" -c 'import google.protobuf'
need golang-go command -v go
need golang-google-grpc-dev test -d /usr/share/gocode/src/google.golang.org/grpc
stop_if_missing

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "Building" >&2
dotnet build src/Api -c Release --nologo -v quiet >&2
build_load_client "$work"

mkdir -p "$work/python" "$work/go/src/routeguide"
protoc -I protos --python_out="$work/python" --grpc_python_out="$work/python" \
  --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" route_guide.proto

# Debian's Go packages are sources in a GOPATH; their generator is built from there.
export GO111MODULE=off GOPATH="$work/go:/usr/share/gocode" GOFLAGS=-buildvcs=false
go build -o "$work/protoc-gen-go" github.com/golang/protobuf/protoc-gen-go
protoc -I protos --plugin="$work/protoc-gen-go" --go_out=plugins=grpc:"$work/go/src/routeguide" route_guide.proto
go build -o "$work/go-peer" ./bench/peers/go

"$python" bench/measure.py "$work" "$@"
