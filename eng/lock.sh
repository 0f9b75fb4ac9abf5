#!/usr/bin/env bash
# Writes eng/locks, the packages of the image with their hashes: a file for each project and processor. Run it when Directory.Packages.props or
# the packages of src/Api, src/Domain, src/Infrastructure or protos have changed; a test says so.
#   eng/lock.sh [FOLDER]    writes to this folder instead, to compare
set -euo pipefail
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
  exit 0
fi

cd "$(dirname "$0")/.."
target=$(realpath -m "${1-eng/locks}")

# In a copy, so that builds in this folder keep the packages that they were restored with.
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar --create --exclude=bin --exclude=obj global.json Directory.Build.props Directory.Packages.props src protos eng | tar --extract --directory "$copy"
rm -rf "$copy/eng/locks"
for architecture in amd64 arm64; do
  dotnet restore "$copy/src/Api" -a "$architecture" -p:LockPackages=true --force-evaluate
done
rm -rf "$target"
mkdir -p "$(dirname "$target")"
mv "$copy/eng/locks" "$target"
