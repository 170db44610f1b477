#!/bin/sh
# A run that is killed at random moments, and resumed with another number of threads each time,
# ends with the same bits as one that never was; and a damaged checkpoint is named and passed over.
# usage: kill_test.sh path/to/attention [KILLS]
set -u
program=$(realpath "$1")
kills=${2:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1

fault() {
  echo "FAILED: $*" >&2
  exit 1
}

options="--hidden 16 --embedding 8 --batch 8 --pairs 200 --dropout 0.1 --save-every 1"
options="$options --steps $((kills > 20 ? 1000 : 100))"
"$program" train $options --out whole --threads 1 >out 2>&1 || fault "$(cat out)"

# Waits for up to a sixth of a second, then kills.
killed=0
while [ "$killed" -lt "$kills" ]; do
  if [ -f part/config.json ]; then set -- --resume part; else set -- $options --out part; fi
  before=$(cat part/last 2>/dev/null)
  "$program" train "$@" --threads $((1 + killed % 2)) >out 2>&1 &
  child=$!
  sleep "0.$(od -An -N2 -tu2 /dev/urandom | awk '{printf "%03d", 10 + $1 % 150}')"
  kill -9 "$child" 2>/dev/null
  wait "$child" 2>/dev/null
  grep -q "damaged" out && fault "kill $killed left a damaged checkpoint: $(cat out)"
  [ -z "$before" ] || [ -s part/last ] || fault "kill $killed lost the pointer"
  killed=$((killed + 1))
done
if [ -f part/config.json ]; then set -- --resume part; else set -- $options --out part; fi
"$program" train "$@" --threads 2 >out 2>&1 || fault "resuming: $(cat out)"
cmp whole/weights.safetensors part/weights.safetensors || fault "other bits after $kills kills"
cmp "whole/$(cat whole/last)" "part/$(cat part/last)" || fault "another state after $kills kills"

# A flipped bit in the newest checkpoint: it is named, and the one before it is used.
last=part/$(cat part/last)
printf 'X' | dd of="$last" bs=1 seek=$(($(wc -c <"$last") - 50)) conv=notrunc 2>/dev/null
"$program" train --resume part >out 2>&1 || fault "after damage: $(cat out)"
grep -q "$last: damaged" out || fault "the damage was not named: $(cat out)"
cmp whole/weights.safetensors part/weights.safetensors || fault "other bits after damage"
echo "$kills kills, the same bits"
