#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# killed_save.sh PROGRAM FOLDER MPIRUN...: kill -9 of one rank at several moments of a loop of saves leaves a whole file.
program=$1
folder=$2
shift 2
mkdir -p "$folder"
for moment in "0 20" "0 45" "1 30" "2 60"; do
  file=$folder/state.safetensors
  rm -f "$file" "$file.partial"
  # shellcheck disable=SC2086
  if "$@" "$program" save "$file" $moment >/dev/null 2>&1; then
    echo "rank and moment $moment: nothing was killed"
    exit 1
  fi
  "$program" check "$file" || exit 1
done
rm -rf "$folder"
