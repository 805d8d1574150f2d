#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# flags.sh [COMPILER]: times the steps of flags.cpp under the flags that people use, and prints each time over that of
# -O3 -march=native. A minute, on a machine that does nothing else: two busy teams of threads are many times slower.
set -eu
cd "$(dirname "$0")/.."
compiler=${1:-g++}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
measure() { # in its own program, so that nothing of one set of flags is linked into another
  "$compiler" -std=c++20 "$@" -I include -isystem /usr/include/eigen3 benchmarks/flags.cpp -o "$folder/flags"
  "$folder/flags"
}
for flags in "" "-Og" "-O2" "-O3" "-O2 -march=native" "-O3 -march=native" "-O3 -march=native -fopenmp"; do
  # shellcheck disable=SC2086
  printf '%s\t%s\n' "${flags:-none}" "$(measure $flags)"
done >"$folder/times"
awk -F '\t' '{ split($2, time, " "); name[NR] = $1; head[NR] = time[1]; hidden[NR] = time[2]; if ($1 == "-O3 -march=native") one = NR }
  END { printf "%-28s %10s %14s\n", "flags", "head", "hidden matrix"
        for (i = 1; i <= NR; i++) printf "%-28s %10.1f %14.1f\n", name[i], head[i] / head[one], hidden[i] / hidden[one] }' "$folder/times"
