#!/usr/bin/env bash
# Makes what stands in for the base images where no registry can be reached: this machine's .NET with the libraries that it loads. As root, with buildah.
#   base-images.sh SDK RUNTIME    the names; the first has a shell and finds the SDK mounted, the second has the runtime and nothing else
set -euo pipefail
dotnet=$(dirname "$(readlink -f "$(command -v dotnet)")")

image() {
  local name=$1 container root
  shift
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  mkdir -p "$root"/{dev,etc,proc,sys,root,tmp,usr/bin,usr/lib,usr/lib64,usr/share/dotnet}
  chmod 1777 "$root/tmp"
  ln -s usr/bin usr/lib usr/lib64 "$root"
  ln -s ../share/dotnet/dotnet "$root/usr/bin/dotnet"
  printf "root:x:0:0::/root:/bin/sh\napp:x:1654:1654::/:/bin/false\n" >"$root/etc/passwd"
  cp /etc/nsswitch.conf "$root/etc"
  cp -rL --parents /etc/ssl/certs "$root"

  # .NET loads OpenSSL when it is first needed, so nothing names it.
  cp -L --parents /usr/lib/*-linux-gnu/lib{ssl,crypto}.so.3 "$root"
  find "$dotnet/host" "$dotnet/shared" -name '*.so' -exec ldd {} + 2>/dev/null | cat - <(ldd "$@") | grep -Eo '[[:space:]]/[^ ]*lib[^ ]*' | sort -u |
    while read -r library; do
      [[ $library == "$dotnet"/* ]] || cp -L --parents "$library" "$root"
    done
  for program in "$@"; do
    [[ $program == "$dotnet"/* ]] || cp -L "$program" "$root/usr/bin"
  done
  [[ $name != "$runtime" ]] || cp -r "$dotnet"/{dotnet,host,shared} "$root/usr/share/dotnet"
  buildah config --env DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=true "$container"
  buildah commit --quiet --rm "$container" "$name" >/dev/null
}

sdk=$1 runtime=$2
image "$sdk" "$dotnet/dotnet" /bin/sh /bin/mkdir /bin/mv /bin/uname
image "$runtime" "$dotnet/dotnet"
