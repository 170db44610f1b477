#!/bin/sh
# Installs a built regrad into a fresh prefix and builds a program against it, with pkg-config and
# as strict as a user may be. Usage: check.sh BUILD_FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
DESTDIR="$prefix" meson install -C "$1" --quiet --no-rebuild >/dev/null
pc=$(find "$prefix" -name regrad.pc)
root=$(sed -n 's/^prefix=//p' "$pc")
export PKG_CONFIG_PATH="$(dirname "$pc")"
flags=$(pkg-config --define-variable=prefix="$prefix$root" --cflags --libs regrad)
library=$(pkg-config --define-variable=prefix="$prefix$root" --variable=libdir regrad)
${CXX:-c++} -std=c++20 -O1 -Wall -Wextra -Wconversion -Wshadow -Wpedantic -Werror \
  "$here/program.cpp" -o "$prefix/program" $flags
[ "$(LD_LIBRARY_PATH="$library" "$prefix/program")" = 24 ]
echo "consumer: builds and runs against the installed library"
