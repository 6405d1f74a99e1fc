#!/bin/sh
# The demo: a daemon on configs/campaignd.toml, the ready examples dropped into
# inbox/, and what came back. demo.sh path/to/campaignd
set -eu
bin=$1
inbox=inbox
log=var/demo.log
mkdir -p var

if "$bin" status >/dev/null 2>&1; then
  echo "A daemon is running already; the examples go to it."
  pid=
else
  "$bin" run >"$log" 2>&1 &
  pid=$!
  trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true' EXIT INT TERM
fi

tries=0
until "$bin" status >/dev/null 2>&1; do
  tries=$((tries + 1))
  if [ "$tries" -gt 100 ] || { [ -n "$pid" ] && ! kill -0 "$pid" 2>/dev/null; }; then
    echo "The daemon did not come up. Its log:"
    cat "$log"
    exit 1
  fi
  sleep 0.1
done

# Sidecars last: they are the commit of a drop.
echo "Dropping the examples into $inbox/ ..."
names=
stamp=$(date +%H%M%S)
for layout in inbox/examples/*.layout.json; do
  name=$(basename "$layout" .layout.json)
  cp "inbox/examples/$name.csv" "$inbox/$name-$stamp.csv"
  cp "$layout" "$inbox/$name-$stamp.layout.json"
  # "resend": a second demo within a day sends the same files again on purpose.
  sed '1s/{/{"resend": true,/' "inbox/examples/$name.schedule.json" >"$inbox/$name-$stamp.schedule.json.tmp"
  mv "$inbox/$name-$stamp.schedule.json.tmp" "$inbox/$name-$stamp.schedule.json"
  names="$names $name-$stamp"
done

failed=0
total=0
for name in $names; do total=$((total + 1)); done
tries=0
while :; do
  ended=0
  line=
  for name in $names; do
    state=waiting
    for folder in "$inbox"/accepted/"$name".* "$inbox"/done/"$name".* "$inbox"/failed/"$name".*; do
      [ -e "$folder" ] || continue
      state=$(basename "$(dirname "$folder")")
    done
    case $state in done | failed) ended=$((ended + 1)) ;; esac
    line="$line  ${name%-"$stamp"}: $state"
  done
  echo "[$ended of $total]$line"
  [ "$ended" -eq "$total" ] && break
  tries=$((tries + 1))
  if [ "$tries" -gt 120 ]; then
    echo "Not all ended within two minutes. The daemon's log: $log"
    exit 1
  fi
  sleep 1
done

echo
for name in $names; do
  for report in "$inbox"/done/"$name".*/report.txt "$inbox"/failed/"$name".*/report.txt; do
    [ -e "$report" ] || continue
    echo "$name: $(head -n 1 "$report")"
    echo "  report: $report"
    case $report in */failed/*) failed=1 ;; esac
  done
done
echo
echo "The messages are in var/outbox.jsonl; the last one:"
tail -n 1 var/outbox.jsonl
exit "$failed"
