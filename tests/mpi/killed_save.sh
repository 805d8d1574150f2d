#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# killed_save.sh PROGRAM PREFIX FOLDER MPIRUN...: kill -9 of one rank at several moments of a loop of saves, PROGRAM's PREFIXsave,
# leaves a whole file, says its PREFIXcheck.
program=$1
prefix=$2
folder=$3
shift 3
mkdir -p "$folder"
file=$folder/state.safetensors
replaced=0
for moment in "0 80" "0 190" "1 130" "2 270"; do
  rm -f "$file" "$file.partial"
  # shellcheck disable=SC2086
  if "$@" "$program" "${prefix}save" "$file" $moment >/dev/null 2>&1; then
    echo "rank and moment $moment: nothing was killed"
    exit 1
  fi
  found=$("$program" "${prefix}check" "$file") || { echo "$found"; exit 1; }
  echo "rank and moment $moment: $found"
  case $found in "whole after 1 steps") ;; *) replaced=1 ;; esac
done
rm -rf "$folder"
[ $replaced = 1 ] || { echo "all kills came before the first replacement"; exit 1; }
