#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# measure_test.sh SOURCE FOLDER: a filter of ./run bench takes what it names; programs without a benchmark of such a name
# are skipped, and one that takes nothing is refused. With programs that answer as Google Benchmark's do.
set -euo pipefail
unset OMP_WAIT_POLICY  # which the tests' own environment sets
source=$1
folder=$2
rm -rf "$folder"
mkdir -p "$folder/programs"

program() { # NAME BENCHMARKS...
  local file="$folder/programs/benchmark_$1"
  shift
  cat >"$file" <<TEXT
#!/usr/bin/env bash
for option; do
  case \$option in
    --benchmark_filter=*) filter=\${option#*=} ;;
    --benchmark_list_tests=true) list=yes ;;
    --benchmark_out=*) out=\${option#*=} ;;
  esac
done
matching=\$(printf '%s\n' $(printf "'%s' " "$@") | grep -E -- "\$filter") || { echo 'Failed to match any benchmarks' >&2; : >"\${out:-/dev/null}"; exit 0; }
if [ "\${list:-}" = yes ]; then echo "\$matching"; else echo "\${OMP_WAIT_POLICY:-active}:" \$matching >"\$out"; fi
TEXT
  chmod +x "$file"
}
program row symopt/row_norm/8x8/real_time limit/5_streams/8x8/real_time
program row_avx2 symopt/row_norm/768x3072/real_time symopt/sign/768x3072/real_time
program spectral symopt/spectral/8x8/real_time newton_schulz_blas/spectral/8x8/real_time loop/empty/real_time
program spectral_blas symopt/spectral/8x8/real_time
program pair symopt/lora_pair/16/real_time
program stack symopt/stack/qwen3/real_time
program growth 'growth/rows/row norm/8/real_time'

expect() { # FILTER FILES...
  local filter=$1 given wanted
  shift
  given=$("$source/benchmarks/measure.sh" "$folder/programs" "$folder/out" "$filter" 2>/dev/null | xargs -n 1 basename | paste -sd ' ' -)
  wanted="$*"
  [ "$given" = "$wanted" ] || { echo "the filter '$filter' ran '$given' instead of '$wanted'"; exit 1; }
  local file
  for file in "$folder"/out/*.json; do
    [ -s "$file" ] || { echo "the filter '$filter' left $file, which is empty"; exit 1; }
    case " $wanted " in *" $(basename "$file") "*) ;; *) echo "the filter '$filter' left $file of an earlier run"; exit 1 ;; esac
  done
}
expect . row.json row_avx2.json spectral.json spectral_blas.json pair.json stack.json growth.json spectral_passive.json
[ "$(cat "$folder/out/row_avx2.json")" = "active: symopt/row_norm/768x3072/real_time" ] ||
  { echo 'row_avx2 measures what is not compared'; exit 1; }
grep -q '^passive: ' "$folder/out/spectral_passive.json" || { echo 'threads were not told to sleep'; exit 1; }
expect 'row|spectral' row.json row_avx2.json spectral.json spectral_blas.json growth.json spectral_passive.json
expect 'symopt/row_norm' row.json row_avx2.json
expect '5_streams' row.json
expect 'qwen3' stack.json
if "$source/benchmarks/measure.sh" "$folder/programs" "$folder/out" 'misspelt' >"$folder/log" 2>&1; then
  echo 'a filter that takes nothing was not refused'
  exit 1
fi
grep -q 'no benchmark has a name that "misspelt" takes' "$folder/log"
