#!/bin/sh
# Installs a built regrad into a fresh prefix and builds a program against it, as strict as a user may
# be. Usage: check.sh BUILD_FOLDER pkg-config|cmake
set -eu
here=$(cd "$(dirname "$0")" && pwd)
warnings="-Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror"
command -v "$2" >/dev/null || {
  echo "consumer: this test needs $2 (apt-get install $2)" >&2
  exit 1
}
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR="$prefix" meson install -C "$1" --quiet --no-rebuild >/dev/null
pc=$(find "$prefix" -name regrad.pc)
root=$prefix$(sed -n 's/^prefix=//p' "$pc")
if [ "$2" = pkg-config ]; then
  export PKG_CONFIG_PATH="$(dirname "$pc")"
  flags=$(pkg-config --define-variable=prefix="$root" --cflags --libs regrad)
  LD_LIBRARY_PATH=$(pkg-config --define-variable=prefix="$root" --variable=libdir regrad)
  export LD_LIBRARY_PATH
  ${CXX:-c++} -std=c++20 -O1 $warnings "$here/program.cpp" -o "$prefix/program" $flags
  [ "$("$prefix/program")" = 24 ]
else
  version=$(sed -n 's/^version: *//Ip' "$pc")
  cmake -S "$here" -B "$prefix/cmake" -DCMAKE_PREFIX_PATH="$root" -DREGRAD_VERSION="$version" \
    -DCMAKE_CXX_FLAGS="$warnings" >/dev/null
  cmake --build "$prefix/cmake" >/dev/null
  [ "$("$prefix/cmake/program")" = 24 ]
  if cmake -S "$here" -B "$prefix/newer" -DCMAKE_PREFIX_PATH="$root" -DREGRAD_VERSION=1000 \
    >/dev/null 2>&1; then
    echo "consumer: this version passes for a version 1000" >&2
    exit 1
  fi
fi
echo "consumer: builds and runs against the installed library with $2"
