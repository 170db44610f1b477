#!/bin/sh
# Gathers what a build needs in bench/gpu/brought/, which git ignores, for a machine with a GPU, nvcc,
# meson and PyTorch but no package manager: the headers of fmt, xsimd, nlohmann-json, CLI11 and
# doctest. Run it where they are installed, carry the folder along, and run bench/gpu/run.sh there.
set -eu
cd "$(dirname "$0")"
rm -rf brought
mkdir -p brought/include brought/pkgconfig

# take NAME FOLDER FLAGS...: the headers in /usr/include/FOLDER, and a file that pkg-config reads.
take() {
  name=$1 folder=$2
  shift 2
  found=$(pkg-config --variable=includedir "$name" 2>/dev/null || true)
  [ -n "$found" ] && [ -d "$found/$folder" ] || found=/usr/include
  cp -r "$found/$folder" brought/include/
  version=$(pkg-config --modversion "$name" 2>/dev/null || echo 2.4)
  printf '%s %s\n' "$version" "$*" >"brought/pkgconfig/$name"
}

take fmt fmt -DFMT_HEADER_ONLY
take xsimd xsimd
take nlohmann_json nlohmann
take CLI11 CLI
take doctest doctest
du -sh brought
