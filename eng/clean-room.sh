#!/usr/bin/env bash
# Runs a command in a clean room: a bare Debian bookworm with the .NET SDK, this machine's package settings, and a fresh clone of HEAD.
# Anything that the project does not install or commit is missing there. If no room can be made, the command runs on this machine.
# The first line of the output says which, and why.
#   eng/clean-room.sh [COMMAND ...]    as root; default eng/test.sh. The exit code is that of the command
#   CLEAN_ROOM_KEEP=1 eng/clean-room.sh    keeps the room for the next run, which renews only the clone
#   TMPDIR=FOLDER eng/clean-room.sh    folder for the room; default /var/tmp
set -euo pipefail
if [[ ${1-} == -h || ${1-} == --help ]]; then
  sed -n '2,/^set /{s/^# \{0,1\}//p}' "$0"
  exit 0
fi

cd "$(dirname "$0")/.."
(($#)) || set -- eng/test.sh
umask 022
release=bookworm
gigabytes=8 # Debian, the packages that the tests install and restore, the build, and the images of a test.
clone=/route-service

folder=''   # For root only: package settings may contain passwords.
root=''     # In that folder.
entrance='' # The process that waits for the first process in the room.
missing=''  # Why there is no room.
trap leave EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# The room has its own namespaces of processes and mounts. All its processes end with the first one.
leave() {
  trap '' HUP INT TERM
  if [[ -n $entrance ]]; then
    kill -KILL $(cat "/proc/$entrance/task/$entrance/children") "$entrance" 2>/dev/null || true
    wait "$entrance" || true
  fi
  [[ -z $folder || -n ${CLEAN_ROOM_KEEP-} ]] || rm -rf --one-file-system "$folder"
}

make_room() {
  try 'not root' test "$(id -u)" == 0 &&
    try "not a Debian $release" grep -qx "VERSION_CODENAME=$release" /etc/os-release &&
    try 'no .NET SDK' dotnet --version &&
    try 'no git checkout' git -c safe.directory='*' --git-dir=.git rev-parse --verify HEAD &&
    try 'no namespaces or mounts' unshare --mount --pid --fork mount --bind /proc /proc &&
    make_folder &&
    { [[ -e $folder/made ]] || make_debian; } &&
    { copy_settings &>/dev/null || true; } && # A setting that could not be copied may not matter; one that does fails a step below.
    try 'no clone' clone_head &&
    try 'no way into it' enter dotnet --version &&
    try 'no apt in it' enter timeout 300 apt-get update -qq -o APT::Update::Error-Mode=any &&
    try 'no NuGet in it' enter bash -euc "$(declare -f restore_something); restore_something"
}

# Runs a step of making the room; a failure is the reason why there is none.
try() {
  local said
  said=$("${@:2}" 2>&1 </dev/null) && return
  said=$(tail -n 1 <<<"$said")
  missing="$1${said:+: $said}"
  return 1
}

make_folder() {
  local parent=${TMPDIR:-/var/tmp}
  missing="cannot write to $parent"
  if [[ -n ${CLEAN_ROOM_KEEP-} ]]; then
    folder=$parent/route-service-clean-room
    mkdir -p -m 700 "$folder" && [[ -O $folder ]] || return
  else
    folder=$(mktemp -d "$parent/route-service-clean-room-XXXXXX" 2>/dev/null) || return
  fi
  root=$folder/root
}

make_debian() {
  rm -rf --one-file-system "$root"
  try "less than $gigabytes GB free in ${folder%/*}" has_space &&
    try 'no debootstrap' install_debootstrap &&
    try 'no bare Debian' debootstrap_debian &&
    touch "$folder/made"
}

has_space() { (($(df --output=avail -k "$folder" | tail -n 1) >= gigabytes * 1024 * 1024)); }

install_debootstrap() {
  command -v debootstrap ||
    { timeout 300 apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -y -qq --no-install-recommends debootstrap; }
}

debootstrap_debian() {
  local mirror proxy=''
  mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$release" '$1 == release && $2 == "main" { print $3; exit }')
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [[ -z $proxy ]] || export http_proxy=$proxy
  timeout 600 debootstrap --variant=minbase --include=ca-certificates,git,libicu72,libssl3 "$release" "$root" ${mirror:+"$mirror"}
}

# The sources of packages, and the certificates to trust.
copy_settings() {
  local file
  rm -rf "$root/etc/apt"
  cp -a /etc/apt "$root/etc"
  cp -a /usr/share/keyrings "$root/usr/share"
  cp -L /etc/resolv.conf /etc/hosts "$root/etc"
  if [[ -d /usr/local/share/ca-certificates ]]; then
    cp -a /usr/local/share/ca-certificates "$root/usr/local/share"
    chroot "$root" update-ca-certificates
  fi
  # A certificate may also have been added by hand.
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs"
  for file in .npmrc .nuget/NuGet; do
    [[ ! -e $HOME/$file ]] || { mkdir -p "$root/root/$(dirname "$file")" && cp -aT "$HOME/$file" "$root/root/$file"; }
  done
  for file in /etc/npmrc /usr/etc/npmrc /usr/local/etc/npmrc /etc/opt/NuGet/Config/* "${variables[@]#*=}"; do
    [[ $file != /* || ! -f $file || -e $root$file ]] || { mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file"; }
  done
}

clone_head() {
  rm -rf "${root:?}$clone"
  # The checkout may belong to another user, and its objects may lie in another folder.
  git clone -q --no-local --upload-pack "git -c safe.directory='*' upload-pack" "$PWD" "$root$clone"
}

# Any package will do.
restore_something() {
  cd "$(mktemp -d)"
  cat >something.csproj <<'PROJECT'
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <TargetFramework>net10.0</TargetFramework>
  </PropertyGroup>
  <ItemGroup>
    <PackageReference Include="Google.Protobuf" Version="*" />
  </ItemGroup>
</Project>
PROJECT
  timeout 300 dotnet restore
}

# The variables of the environment that the room gets: package settings, and those that eng/test.sh reads.
variables=()
while IFS= read -r -d '' variable; do
  case ${variable%%=*} in
    DOTNET_ROOT*) ;;
    *PROXY* | *proxy* | NUGET_* | DOTNET_* | PIP_* | npm_* | SSL_CERT_* | NODE_EXTRA_CA_CERTS) variables+=("$variable") ;;
    CI | CONFIGURATION | ROUTESERVICE_* | TERM) variables+=("$variable") ;;
  esac
done < <(env --null)
variables+=(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DOTNET_ROOT=/usr/share/dotnet)

# The folders that NuGet's settings name as sources or fallbacks. The folder of restored packages is not among them: it would hide packages
# that the feeds lack.
folders=()
while read -r each; do
  [[ ! -d $each ]] || folders+=("$each")
done < <(grep -oh '<add [^>]*>' "$HOME"/.nuget/NuGet/{,config/}*.[Cc]onfig /etc/opt/NuGet/Config/*.[Cc]onfig 2>/dev/null |
  grep -vi 'key="globalPackagesFolder"' | sed -n 's:.*value="\(/[^"]*\)".*:\1:p')

# Becomes the process that waits for the first one in the room. It ends with this script, even by SIGKILL.
enter() {
  local sdk
  sdk=$(dirname "$(readlink -f "$(command -v dotnet)")")
  # In the environment: every user can read arguments, and the address of a proxy may contain a password.
  prelude="$(declare -p root clone sdk folders variables); $(declare -f run_inside)" \
    exec setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child \
    bash -euo pipefail -c 'eval "$prelude"; run_inside "$@"' bash "$@"
}

run_inside() {
  mount --bind "$root" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  mount --rbind /dev "$root/dev"
  mkdir -p "$root/usr/share/dotnet"
  mount --bind -o ro "$sdk" "$root/usr/share/dotnet"
  ln -sf ../share/dotnet/dotnet "$root/usr/bin/dotnet"
  for each in "${folders[@]}"; do
    mkdir -p "$root$each"
    mount --bind -o ro "$each" "$root$each"
  done
  cd "$root"
  pivot_root . .
  umount --lazy .
  cd "$clone"
  # Not by exec: the first process reaps the others, and signals without a handler do not reach it. This shell runs in the background,
  # where SIGINT is ignored; the command must not inherit that.
  env --ignore-environment --default-signal=INT,QUIT "${variables[@]}" "$@"
}

if ! make_room; then
  echo "No clean room ($missing): running on this machine"
  leave
  exec "$@"
fi

echo "Clean room: a bare Debian $release in $root"
changes=$(git -c safe.directory='*' status --porcelain | wc -l)
((changes == 0)) || echo "Uncommitted changes are not in it: $changes files"
status=0
enter "$@" <&0 &
entrance=$!
wait "$entrance" || status=$?
entrance=''
exit "$status"
