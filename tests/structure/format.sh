#!/bin/sh
# Every C++ and CUDA file is as clang-format 14 leaves it, with the settings in .clang-format. Another
# version breaks lines elsewhere; Debian 12 and Ubuntu have this one as clang-format-14.
# Usage: format.sh [FILE ..]; without names, all files that git knows.
set -eu
cd "$(dirname "$0")/../.."
format=$(command -v clang-format-14) || {
  echo "format: clang-format-14 is not installed (apt-get install clang-format-14)" >&2
  exit 1
}
[ $# -gt 0 ] || set -- $(git ls-files '*.h' '*.cpp' '*.cu')
wrong=0
for file in "$@"; do
  "$format" --dry-run -Werror "$file" >/dev/null 2>&1 || {
    wrong=$((wrong + 1))
    echo "$file"
  }
done
echo "format: $wrong of $# files differ; clang-format-14 -i FILE rewrites one"
[ "$wrong" = 0 ]
