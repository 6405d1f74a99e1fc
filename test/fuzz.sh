#!/bin/sh
# Runs every native fuzz target for a moment, one after the other: fuzz.sh GO TIME
set -eu
go=$1 time=$2
grep -rl --include='*_test.go' '^func Fuzz' internal cmd | sort | while read -r file; do
  dir=$(dirname "$file")
  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file" | while read -r target; do
    "$go" test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$dir" >/tmp/fuzz.$$ 2>&1 </dev/null || { cat /tmp/fuzz.$$; rm -f /tmp/fuzz.$$; exit 1; }
    printf 'fuzz ok  %s %s\n' "$dir" "$target"
  done
done
rm -f /tmp/fuzz.$$
