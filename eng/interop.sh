#!/usr/bin/env bash
# Starts the gRPC project's interop test service on our runtime, for anybody's interop client.
#   eng/interop.sh server PORT [--tls]    with --tls the certificate to trust, for localhost, is written to interop.pem
set -euo pipefail
if [[ ${1-} != server || -z ${2-} ]]; then
  sed -n 's/^# \{0,1\}//p' "$0" | sed 1d
  exit 2
fi
exec dotnet run -c Release --project "$(dirname "$0")/../tests/Grpc.Interop.Host" -- "${@:2}"
