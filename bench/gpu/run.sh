#!/bin/sh
# On a machine with a GPU, nvcc, meson and PyTorch: builds regrad, runs every test on the GPU, and
# prints a table of its speed beside that of PyTorch and of the GPU itself. bring.sh comes first
# where the machine has no package manager.
#   bench/gpu/run.sh [BUILD-FOLDER [OPTIONS of compare.py]]      unless given build-gpu
set -eu
cd "$(dirname "$0")/../.."
build=${1:-build-gpu}
[ $# = 0 ] || shift
[ -x "$(command -v nvcc || true)" ] || PATH=/usr/local/cuda/bin:$PATH
if [ -d bench/gpu/brought ]; then
  export PKG_CONFIG="$PWD/bench/gpu/pkg-config"
fi
[ -f "$build/build.ninja" ] || meson setup "$build" -Dcuda=enabled -Dtests=enabled
ninja -C "$build" --quiet libregrad_cuda.so tests/regrad_tests_ops tests/regrad_tests_nn \
  tests/regrad_tests_optim bench/peers example
failed=0
for tests in ops nn optim; do  # not through meson, which would call a machine without a GPU a skip
  REGRAD_DEVICE=cuda "$build/tests/regrad_tests_$tests" || failed=1
done
if sanitizer=$(command -v compute-sanitizer); then
  REGRAD_DEVICE=cuda timeout 60 "$sanitizer" --error-exitcode 1 "$build/tests/regrad_tests_ops" \
    -tc="softmax*,wide rows*,attention in blocks*,many*,products of awkward*,every one of*,\
layer_norm of*,dropout,orders of*,padding*" || failed=1
else
  echo "compute-sanitizer: not found, not run"
fi
python3 bench/gpu/compare.py --build "$build" "$@"
[ "$failed" = 0 ] || { echo "run.sh: some tests failed, see above" >&2; exit 1; }
