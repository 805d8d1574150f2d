#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# killed_save.sh PROGRAM FOLDER MPIRUN...: kill -9 of one rank at several moments of a loop of saves leaves a whole file.
program=$1
folder=$2
shift 2
mkdir -p "$folder"
file=$folder/state.safetensors
replaced=0
for moment in "0 80" "0 190" "1 130" "2 270"; do
  rm -f "$file" "$file.partial"
  # shellcheck disable=SC2086
  if "$@" "$program" save "$file" $moment >/dev/null 2>&1; then
    echo "rank and moment $moment: nothing was killed"
    exit 1
  fi
  found=$("$program" check "$file") || { echo "$found"; exit 1; }
  echo "rank and moment $moment: $found"
  case $found in "whole after 1 steps") ;; *) replaced=1 ;; esac
done
rm -rf "$folder"
[ $replaced = 1 ] || { echo "all kills came before the first replacement"; exit 1; }
