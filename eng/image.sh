#!/usr/bin/env bash
# Builds the image by docker, podman or buildah, whichever works, and tries it out: it starts, reports ready, and stops in order.
#   eng/image.sh [--tag NAME] [--engine NAME] [--sdk IMAGE] [--runtime IMAGE] [-- ARGUMENT ...]
#     --tag       tag of the image; default route-service
#     --engine    docker, podman or buildah; default the first that works
#     --sdk, --runtime    base images, for example of your own registry or of this machine; default those of the Dockerfile. An image of a registry
#                         is pulled and pinned by its digest, which the built image names
#     --          further arguments of the engine's build, such as --platform linux/arm64
# Where docker has the containerd image store, the image comes with an SBOM and its provenance. The same commit on the same bases has the same files and times.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=route-service engine='' sdk='' runtime='' arguments=()
while (($#)); do
  case $1 in
    -h | --help) sed -n '2,/^set /{s/^# \{0,1\}//p}' eng/image.sh && exit 0 ;;
    --tag) tag=$2 && shift 2 ;;
    --engine) engine=$2 && shift 2 ;;
    --sdk) sdk=$2 && shift 2 ;;
    --runtime) runtime=$2 && shift 2 ;;
    --) shift && arguments+=("$@") && break ;;
    *) echo "'$1' is not an option; see eng/image.sh --help." >&2 && exit 1 ;;
  esac
done

# A docker without its daemon does not work.
for each in docker podman buildah; do
  [[ -n $engine ]] || { "$each" info >/dev/null 2>&1 && engine=$each; }
done
[[ -n $engine ]] || { echo "Neither docker, podman nor buildah works. Install one of them: sudo apt-get install buildah" >&2 && exit 1; }

# Prints an image of a registry with the digest that the engine has pulled. An image that cannot be pulled, or is of this machine, stays as it is.
fixed() {
  local digest=''
  if [[ $1 != *@* && ${1%%/*} == *.* ]]; then
    "$engine" pull --quiet "$1" >/dev/null || true
    case $engine in
      buildah) digest=$(buildah inspect --type image --format '{{.FromImageDigest}}' "$1" 2>/dev/null || true) ;;
      *) digest=$("$engine" image inspect --format '{{index .RepoDigests 0}}' "$1" 2>/dev/null || true) ;;
    esac
    digest=${digest##*@}
  fi
  echo "$1${digest:+@$digest}"
}
# The Dockerfile's default of an argument.
default() { sed -n "s/^ARG $1=//p" Dockerfile | head -n 1; }
label() { [[ -z $2 ]] || arguments+=(--label "org.opencontainers.image.$1=$2"); }

sdk=$(fixed "${sdk:-$(default SDK)}")
runtime=$(fixed "${runtime:-$(default RUNTIME)}")
version=$(sed -n 's:.*<Version>\(.*\)</Version>.*:\1:p' Directory.Build.props)
revision=$(git rev-parse HEAD 2>/dev/null || true)
time=$(git log -1 --format=%ct 2>/dev/null || date +%s)

# The address of the sources, if it is public: that of a remote by https or ssh, without a password in it.
source=$(git remote get-url origin 2>/dev/null | sed -nE 's#^(https://|ssh://|git@)([^@/]*@)?([^/:]+\.[^/:]+)[:/](.*)$#https://\3/\4#p' | sed 's/\.git$//' || true)
arguments+=(--build-arg "SDK=$sdk" --build-arg "RUNTIME=$runtime" --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --tag "$tag")
label created "$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || date -u +%Y-%m-%dT%H:%M:%SZ)"
label source "$source"
label url "$source"
label documentation "${source:+$source/blob/$revision/docs/operations/README.md}"
label base.name "${runtime%@*}"
[[ $runtime != *@* ]] || label base.digest "${runtime#*@}"
echo "Building $tag by $engine, on $runtime"
build=("$engine" build)
if [[ $engine == docker ]]; then
  arguments+=(--build-arg "SOURCE_DATE_EPOCH=$time")
  if docker buildx version >/dev/null 2>&1 && [[ $(docker info --format '{{.DriverStatus}}') == *containerd.snapshotter* ]]; then
    build=(docker buildx build --load --sbom=true --provenance=mode=max)
  fi
else
  # Docker's format, because OCI's has no health check.
  arguments+=(--format docker --timestamp "$time")
fi
"${build[@]}" "${arguments[@]}" .

echo "Trying $tag"
program=(dotnet /app/RouteService.Api.dll)
if [[ $engine == buildah ]]; then
  # buildah runs a working container rather than an image, on this machine's network, so the ports are unusual ones.
  container=$(buildah from "$tag")
  run=(buildah run --env RouteService__Grpc__Port=50951 --env RouteService__Management__Port=50981 "$container")
  "${run[@]}" "${program[@]}" &
  serving=$!

  # buildah does not forward signals; the program is the last process that it has started.
  send() {
    local process=$serving child
    while child=$(cat "/proc/$process"/task/*/children 2>/dev/null || true) && [[ -n $child ]]; do process=${child%% *}; done
    kill -s "$1" "$process"
  }
  trap 'send KILL 2>/dev/null || true; buildah rm "$container" >/dev/null' EXIT
  stop() { send TERM && wait "$serving"; }
else
  container=$("$engine" run --detach --read-only --tmpfs /data:uid=1654,gid=1654 --cap-drop ALL --security-opt no-new-privileges "$tag")
  trap '"$engine" rm --force "$container" >/dev/null' EXIT
  run=("$engine" exec "$container")
  stop() {
    "$engine" stop -t 40 "$container" >/dev/null && [[ $("$engine" inspect --format '{{.State.ExitCode}}' "$container") == 0 ]]
  }
fi

"${run[@]}" "${program[@]}" --version
for attempt in {1..30}; do
  "${run[@]}" "${program[@]}" health && break
  ((attempt < 30)) || { echo "$tag has not become ready." >&2 && exit 1; }
  sleep 1
done
stop || { echo "$tag has not stopped in order." >&2 && exit 1; }
echo "$tag works."
