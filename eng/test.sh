#!/usr/bin/env bash
# Installs what the tests need, builds, and runs every test. The last line is "N passed, N failed, N skipped", also where the build fails.
#   eng/test.sh [ARGUMENT ...]    arguments go to `dotnet test`, such as --filter FullyQualifiedName~RouteChat
#   CONFIGURATION=Debug eng/test.sh    another configuration than Release
set -euo pipefail
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
  exit 0
fi

cd "$(dirname "$0")/.."
configuration=${CONFIGURATION:-Release}
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

results=$(mktemp -d) # A folder for each project.
lost=()              # Projects that left no results.
times=()
group=''  # The process group of the tests that run.
policy='' # The file that keeps services from starting, while packages are installed.
status=1  # Until everything has run.
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Prints what the result files have: each test that failed or was skipped, with the first line of its reason, and the sums.
finish() {
  trap '' INT TERM
  [[ -z $policy ]] || rm -f "$policy"
  end_group
  local passed failed skipped
  passed=$(count passed)
  failed=$(($(count failed) + $(outside | wc -l)))
  skipped=$(($(count total) - $(count executed)))
  ((failed == 0)) || { echo "Failed:" && outcomes Failed && outside; }
  ((skipped == 0)) || { echo "Skipped:" && outcomes NotExecuted; }
  ((${#times[@]} == 0)) || { echo "Time:" && printf '  %s\n' "${times[@]}"; }
  rm -rf "$results"
  ((passed + failed > 0)) || status=1
  echo "$passed passed, $failed failed, $skipped skipped"
  exit "$status"
}

# Runs a command as the leader of a process group, and ends the processes that it leaves there. With job control: without it, the shell makes
# background commands ignore SIGINT.
run() {
  local code=0
  set -m
  "$@" &
  group=$!
  set +m
  wait "$group" || code=$?
  end_group
  return "$code"
}

# Services stop at SIGTERM. The guards of databases ignore it, and end when they have removed their databases.
end_group() {
  [[ -n $group ]] || return 0
  local second
  kill -TERM -- "-$group" 2>/dev/null || true
  for second in {1..30}; do
    kill -0 -- "-$group" 2>/dev/null || break
    sleep 1
  done
  kill -KILL -- "-$group" 2>/dev/null || true
  group=''
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

# Failures outside of a test: the end of a service that the tests of a class share, or a project that was ended, with the tests that were
# running.
outside() {
  local trx running
  for trx in "$results"/*/*.trx; do
    [[ -e $trx ]] || continue
    running=$(grep -hs 'Completed="False"' "${trx%/*}"/*/Sequence_*.xml | sed 's/.*<Test Name="\([^"]*\)".*/\1/' | paste -sd ' ' || true)
    awk -v name="$(basename "$trx" .trx)" -v running="$running" '
      BEGIN { RS = "<RunInfo " }
      NR > 1 && index(substr($0, 1, index($0, ">")), "outcome=\"Error\"") {
        text = substr($0, index($0, "<Text>") + length("<Text>"))
        sub(/(\r|\n|<).*/, "", text)
        if (text !~ /\[FAIL\]$/) print "  " name ": " text (running == "" ? "" : " while it ran " running)
      }' "$trx"
  done
  ((${#lost[@]} == 0)) || printf '  %s\n' "${lost[@]}"
}

# The peers: Python's grpcio with protoc, its types and its plugin, h2load, Node with its npm, buildah, openssl, Prometheus, HAProxy,
# PgBouncer, strace, GDAL, and PostgreSQL with PostGIS.
packages=()
need() { [[ -e $1 ]] || packages+=("${@:2}"); }
need /usr/lib/python3/dist-packages/grpc python3-grpcio
need /usr/lib/python3/dist-packages/google/protobuf python3-protobuf
need /usr/bin/protoc protobuf-compiler
need /usr/include/google/protobuf/any.proto libprotobuf-dev
need /usr/bin/grpc_python_plugin protobuf-compiler-grpc
need /usr/bin/h2load nghttp2-client
need /usr/bin/buildah buildah
need /usr/bin/openssl openssl
need /usr/bin/prometheus prometheus
need /usr/sbin/haproxy haproxy
need /usr/sbin/pgbouncer pgbouncer
need /usr/bin/strace strace
need /usr/bin/ogr2ogr gdal-bin
if [[ -z ${ROUTESERVICE_TEST_POSTGRES-} ]]; then
  need /usr/lib/postgresql/15/bin/postgres postgresql-15
  need /usr/share/postgresql/15/extension/postgis.control postgresql-15-postgis-3
fi
command -v curl >/dev/null || packages+=(curl)
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
install() {
  # Some packages start a service when they are installed; the tests start their own.
  if [[ ! -e /usr/sbin/policy-rc.d ]]; then
    policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}
if ((${#packages[@]})); then
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    echo "Installing ${packages[*]}"
    install || echo "They could not be installed. Tests that need them are skipped." >&2
    [[ -z $policy ]] || rm -f "$policy"
  else
    echo "Some tests will be skipped. To run them: sudo apt-get install ${packages[*]}" >&2
  fi
fi
if command -v npm >/dev/null; then
  npm ci --prefix tests/EndToEnd.Tests/node --no-audit --no-fund --loglevel=error ||
    echo "The Node clients could not be installed. Tests that need them are skipped." >&2
  npm ci --prefix tests/Postgis.Tests/places --no-audit --no-fund --loglevel=error ||
    echo "The places of the world could not be installed. Tests that need them are skipped." >&2
  npm ci --prefix tests/Helm.Tests/node --no-audit --no-fund --loglevel=error ||
    echo "Helm could not be installed. Tests that need it are skipped." >&2
fi

dotnet build RouteService.sln -c "$configuration" -warnaserror
# Wrong formatting fails the run, but does not keep the tests from running.
wrong=0
dotnet format whitespace RouteService.sln --no-restore --verify-no-changes || wrong=1

# One project after the other, so that tests that start programs have the machine to themselves. A project is ended, and has failed, if no
# test has started or ended for ten minutes, and after thirty minutes in all. The outer limit is for a test platform that hangs itself.
for project in tests/*/*.Tests.csproj; do
  name=$(basename "$project" .csproj)
  code=0
  SECONDS=0
  run timeout --kill-after=1m 35m dotnet test "$project" -c "$configuration" --no-build --nologo --results-directory "$results/$name" \
    --logger "trx;LogFileName=$name.trx" --logger "console;verbosity=minimal" --blame-hang-timeout 10m --blame-hang-dump-type none "$@" \
    -- RunConfiguration.TestSessionTimeout=1800000 || code=$?
  times+=("$(printf '%5d s  %s' "$SECONDS" "$name")")
  ((code == 0)) || wrong=1
  ((code == 0)) || [[ -e $results/$name/$name.trx ]] || lost+=("$name: exit code $code, and no results")
done
status=$wrong
