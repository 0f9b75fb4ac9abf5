#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every test. The last line is "N passed, N failed, N skipped".
#   eng/test.sh [ARGUMENT ...]    arguments go to `dotnet test`, such as --filter FullyQualifiedName~RouteChat
#   CONFIGURATION=Debug eng/test.sh    another configuration than Release
set -euo pipefail
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n 's/^# \{0,1\}//p' "$0" | head -n 3
  exit 0
fi

cd "$(dirname "$0")/.."
configuration=${CONFIGURATION:-Release}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

# The peers: Python's grpcio with protoc and its plugin, h2load, and Node with its npm.
packages=()
need() { [[ -e $1 ]] || packages+=("${@:2}"); }
need /usr/lib/python3/dist-packages/grpc python3-grpcio
need /usr/lib/python3/dist-packages/google/protobuf python3-protobuf
need /usr/bin/protoc protobuf-compiler
need /usr/bin/grpc_python_plugin protobuf-compiler-grpc
need /usr/bin/h2load nghttp2-client
command -v curl >/dev/null || packages+=(curl)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
if ((${#packages[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "Installing ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
  else
    echo "Some tests will be skipped. To run them: sudo apt-get install ${packages[*]}" >&2
  fi
fi
if command -v npm >/dev/null; then
  # Not `npm ci`: it refuses a lock file without buf's binaries for every other platform.
  npm install --no-save --prefix tests/Foreign.Tests/node --no-audit --no-fund --loglevel=error
fi

dotnet build RouteService.sln -c "$configuration" -warnaserror
dotnet format whitespace RouteService.sln --no-restore --verify-no-changes

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
status=0
# One project after the other: what starts programs of its own must not wait for the rest.
for project in tests/*/*.csproj; do
  dotnet test "$project" -c "$configuration" --no-build --nologo --results-directory "$results" \
    --logger "trx;LogFileName=$(basename "$project").trx" --logger "console;verbosity=minimal" "$@" || status=1
done

# The sums of the result files, and the name and reason of each test that was skipped.
count() { { grep -ho "<Counters [^>]*" "$results"/*.trx || true; } | sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" | awk '{ n += $1 } END { print n + 0 }'; }
passed=$(count passed)
failed=$(count failed)
skipped=$(($(count total) - $(count executed)))
if ((skipped)); then
  echo "Skipped:"
  tr '\n' ' ' < <(cat "$results"/*.trx) | grep -o '<UnitTestResult [^>]*outcome="NotExecuted"[^>]*>\(.\{0,2000\}\)' |
    sed -n 's/.*testName="\([^"]*\)".*<Message>\([^<]*\)<.*/  \1: \2/p'
fi
((passed + failed > 0)) || status=1
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
