#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# measure.sh PROGRAMS FOLDER [filter]: runs the benchmarks in the folder PROGRAMS whose names the filter, a regular
# expression, takes, writes Google Benchmark's JSON of each program to FOLDER, and prints the paths of these files. A
# program without such a benchmark is skipped. `spectral_passive` is the program `spectral` with threads that sleep
# between loops; `row_avx2`, where there is one, measures what is compared of its instructions and those of `row`.
set -euo pipefail
programs=$1
folder=$2
filter=${3:-.}
mkdir -p "$folder"

names() { # of the benchmarks that a program would run
  "$programs/benchmark_$1" --benchmark_list_tests=true --benchmark_filter="$filter" 2>/dev/null || true
}
measure() { # PROGRAM RESULT FILTER. Repetitions in random order, so that a disturbance of the machine hits peers alike.
  printf '== %s\n' "$2" >&2
  "$programs/benchmark_$1" --benchmark_filter="$3" --benchmark_repetitions=5 \
    --benchmark_enable_random_interleaving=true --benchmark_min_time=0.2 \
    --benchmark_report_aggregates_only=true --benchmark_out="$folder/$2.json" >"$folder/$2.log" 2>&1 || {
      cat "$folder/$2.log" >&2
      exit 1
    }
  printf '%s\n' "$folder/$2.json"
}

measure_avx2() {
  rm -f "$folder/row_avx2.json"
  [ -x "$programs/benchmark_row_avx2" ] || return 0
  local compared
  compared=$(names row_avx2 | grep -E '^(limit|symopt)/((5|7)_streams|three_sweeps|(row_norm|centred_row_norm|column_norm|adamw|adaptive_rows)(_unchecked)?)/(50304x768|768x3072)/' |
    paste -sd '|' -) || true
  if [ -n "$compared" ]; then measure row_avx2 row_avx2 "^($compared)\$"; fi
}

any=no
for program in row spectral spectral_blas pair stack growth; do
  [ -x "$programs/benchmark_$program" ] || { printf '%s/benchmark_%s is not built\n' "$programs" "$program" >&2; exit 1; }
  rm -f "$folder/$program.json"
  if [ -n "$(names "$program")" ]; then
    any=yes
    measure "$program" "$program" "$filter"
  fi
  if [ "$program" = row ]; then measure_avx2; fi  # at once, since a machine that others use changes within minutes
done
rm -f "$folder/spectral_passive.json"
# Both sides of one comparison, by their whole names.
waiting=$(names spectral | grep -E '^(loop|symopt|symopt_1_thread|newton_schulz_blas)/(empty|spectral)' | paste -sd '|' -) || true
if [ -n "$waiting" ]; then OMP_WAIT_POLICY=passive measure spectral spectral_passive "^($waiting)\$"; fi
if [ "$any" = no ]; then
  printf 'no benchmark has a name that "%s" takes\n' "$filter" >&2
  exit 1
fi
