#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every test. The last line is "N passed, N failed, N skipped", also where the build fails.
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

results=$(mktemp -d)
status=1 # Until everything has run.
trap finish EXIT

# What the result files say: each test that failed or was skipped with the first line of its reason, and the sums.
finish() {
  local passed failed skipped
  passed=$(count passed)
  failed=$(($(count failed) + $(outside | wc -l)))
  skipped=$(($(count total) - $(count executed)))
  ((failed == 0)) || { echo "Failed:" && outcomes Failed && outside; }
  ((skipped == 0)) || { echo "Skipped:" && outcomes NotExecuted; }
  rm -rf "$results"
  ((passed + failed > 0)) || status=1
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$status"
}

reports() { find "$results" -name '*.trx' -exec cat {} +; }

count() {
  reports | awk -v name=" $1=\"" '
    BEGIN { RS = "<Counters" }
    NR > 1 { n += substr($0, index($0, name) + length(name)) + 0 }
    END { print n + 0 }'
}

outcomes() {
  reports | awk -v outcome="outcome=\"$1\"" '
    BEGIN { RS = "<UnitTestResult " }
    {
      tag = substr($0, 1, index($0, ">"))
      if (NR == 1 || !index(tag, outcome)) next
      name = tag
      sub(/.*testName="/, "", name)
      sub(/".*/, "", name)
      reason = substr($0, index($0, "<Message>") + length("<Message>"))
      sub(/(\r|\n|<).*/, "", reason)
      print "  " name ": " reason
    }' | sed 's/&quot;/"/g; s/&lt;/</g; s/&gt;/>/g; s/&#x[DA];//g; s/&amp;/\&/g'
}

# What failed outside of a test, such as the end of a service that the tests of a class have shared.
outside() {
  reports | awk '
    BEGIN { RS = "<RunInfo " }
    NR > 1 && index(substr($0, 1, index($0, ">")), "outcome=\"Error\"") {
      text = substr($0, index($0, "<Text>") + length("<Text>"))
      sub(/(\r|\n|<).*/, "", text)
      if (text !~ /\[FAIL\]$/) print "  " text
    }'
}

# The peers: Python's grpcio with protoc and its plugin, h2load, Node with its npm, buildah, and PostgreSQL with PostGIS.
packages=()
need() { [[ -e $1 ]] || packages+=("${@:2}"); }
need /usr/lib/python3/dist-packages/grpc python3-grpcio
need /usr/lib/python3/dist-packages/google/protobuf python3-protobuf
need /usr/bin/protoc protobuf-compiler
need /usr/bin/grpc_python_plugin protobuf-compiler-grpc
need /usr/bin/h2load nghttp2-client
need /usr/bin/buildah buildah
if [[ -z ${ROUTESERVICE_TEST_POSTGRES-} ]]; then
  need /usr/lib/postgresql/15/bin/postgres postgresql-15
  need /usr/share/postgresql/15/extension/postgis.control postgresql-15-postgis-3
fi
command -v curl >/dev/null || packages+=(curl)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
install() {
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}
if ((${#packages[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "Installing ${packages[*]}"
    install || echo "They could not be installed. Tests that need them are skipped." >&2
  else
    echo "Some tests will be skipped. To run them: sudo apt-get install ${packages[*]}" >&2
  fi
fi
if command -v npm >/dev/null; then
  npm ci --prefix tests/Foreign.Tests/node --no-audit --no-fund --loglevel=error ||
    echo "The Node clients could not be installed. Tests that need them are skipped." >&2
  npm ci --prefix tests/Postgis.Tests/places --no-audit --no-fund --loglevel=error ||
    echo "The places of the world could not be installed. Tests that need them are skipped." >&2
  npm ci --prefix tests/Helm.Tests/node --no-audit --no-fund --loglevel=error ||
    echo "Helm could not be installed. Tests that need it are skipped." >&2
fi

dotnet build RouteService.sln -c "$configuration" -warnaserror
# Wrong formatting fails the run, and hides none of the tests.
wrong=0
dotnet format whitespace RouteService.sln --no-restore --verify-no-changes || wrong=1

# One project after the other: what starts programs of its own must not wait for the rest.
for project in tests/*/*.Tests.csproj; do
  dotnet test "$project" -c "$configuration" --no-build --nologo --results-directory "$results" \
    --logger "trx;LogFileName=$(basename "$project").trx" --logger "console;verbosity=minimal" "$@" || wrong=1
done
status=$wrong
