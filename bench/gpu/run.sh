#!/bin/sh
# On a machine with a GPU, nvcc, meson and PyTorch: builds regrad, runs every test on the GPU, and
# prints a table of its speed beside that of PyTorch and of the GPU itself. bring.sh comes first
# where the machine has no package manager.
#   bench/gpu/run.sh [BUILD-FOLDER]      unless given build-gpu
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build-gpu}
[ -x "$(command -v nvcc || true)" ] || PATH=/usr/local/cuda/bin:$PATH
if [ -d bench/gpu/brought ]; then
  export PKG_CONFIG="$PWD/bench/gpu/pkg-config"
fi
[ -f "$build/build.ninja" ] || meson setup "$build" -Dcuda=enabled -Dtests=enabled
ninja -C "$build" --quiet
meson test -C "$build" --suite gpu --print-errorlogs
if sanitizer=$(command -v compute-sanitizer); then
  for tests in ops optim; do
    REGRAD_DEVICE=cuda timeout 120 "$sanitizer" --error-exitcode 1 --kernel-name-exclude regex:cutlass \
      "$build/tests/regrad_tests_$tests" -tc="softmax*,layer*,sum*,*gather*,gru*,additive*,*Adam*" ||
      echo "compute-sanitizer: not clean (status $?)"
  done
fi
python3 bench/gpu/compare.py --build "$build"
