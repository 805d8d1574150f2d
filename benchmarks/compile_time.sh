#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# compile_time.sh [COMPILER]: the processor time, in seconds, that the compiler takes for translation units that use a
# little of symopt or much, without optimization and with the flags of symopt::native. Some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=${1:-g++}
TIMEFORMAT='%U'
seconds() { # the shorter of two tries: other programs disturb one
  local flags=$1 file=$2 try
  for try in 1 2; do
    # shellcheck disable=SC2086
    { time "$compiler" -std=c++20 $flags -w -I include -isystem /usr/include/eigen3 -c "$file" -o /dev/null; } 2>&1
  done | sort -n | head -n 1
}
"$compiler" --version | head -n 1
printf '%-34s %8s %24s\n' "translation unit" "-O0" "-O3 -march=native"
for file in tests/compile_time/{eigen,umbrella,lm_head,hidden_matrix}.cpp examples/{readme,training_loop,check_a_rule}.cpp; do
  printf '%-34s %8.1f %24.1f\n' "$file" "$(seconds "-O0" "$file")" "$(seconds "-O3 -march=native -fopenmp" "$file")"
done
