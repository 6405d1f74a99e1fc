#!/bin/sh
# Runs every native fuzz target for a moment, one after the other: fuzz.sh GO TIME
set -eu
go=$1 time=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# By default the fuzzer shortens each new input for up to a minute, in which it tries nothing else
# and reports 0 execs/sec.
fuzz() { # folder target; the binary runs where the committed inputs lie
  (cd "$1" && "$work/fuzz.test" -test.run '^$' -test.fuzz "^$2\$" -test.fuzztime "$time" -test.fuzzminimizetime 1000x -test.fuzzcachedir "$work/cache") >"$work/log" 2>&1 </dev/null
}

grep -rl --include='*_test.go' '^func Fuzz' internal cmd | xargs -n 1 dirname | sort -u | while read -r dir; do
  "$go" test -c -fuzz . -o "$work/fuzz.test" "./$dir" # once for all targets of the folder
  sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$dir"/*_test.go | while read -r target; do
    if ! fuzz "$dir" "$target"; then
      # The fuzzer sometimes calls its own end of time a failure; a real one names its input.
      if grep -q 'context deadline exceeded' "$work/log" && ! grep -q 'Failing input' "$work/log" && fuzz "$dir" "$target"; then
        :
      else
        cat "$work/log"
        exit 1
      fi
    fi
    printf 'fuzz ok  %s %s\n' "$dir" "$target"
  done
done
