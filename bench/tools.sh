# Sourced by the measuring scripts: the Debian packages that they need, and the load client.

missing=()

# need PACKAGE TEST…: notes the package as missing unless the test succeeds.
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }

need_load_client() {
  need g++ command -v g++
  need libnghttp2-dev test -e /usr/include/nghttp2/nghttp2.h
}

# Ends the script with one line if anything is missing.
stop_if_missing() {
  if ((${#missing[@]})); then
    echo "Missing: apt-get install ${missing[*]}" >&2
    exit 1
  fi
}

# build_load_client FOLDER: h2rg, which loads the servers.
build_load_client() { g++ -O2 -std=c++17 bench/load/h2rg.cc -o "$1/h2rg" -lnghttp2; }
