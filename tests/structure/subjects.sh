#!/bin/bash
# The subject of a commit has at most 72 characters, so that git log --oneline shows it whole. Looks at
# the commits since the last tag, or the last 200, but none before START: older ones may be longer.
set -eu
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.."
START=2026-11-26T18:34:00Z
git rev-parse -q --verify HEAD >/dev/null || { echo "subjects: this is no git checkout" >&2; exit 1; }
tag=$(git describe --tags --abbrev=0 2>/dev/null || true)
count=0 wrong=0
while IFS= read -r subject; do
  count=$((count + 1))
  [ "${#subject}" -le 72 ] && continue
  wrong=$((wrong + 1))
  echo "${#subject} characters: $subject"
done < <(git log --no-merges --format=%s --since="$START" -n 200 ${tag:+"$tag.."}HEAD)
echo "subjects: $wrong of $count are longer than 72 characters"
[ "$wrong" = 0 ]
