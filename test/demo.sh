#!/bin/sh
# The demo: a daemon of its own in var/demo, and what is special about it, one sentence a step.
# It takes less than a minute. demo.sh path/to/campaignd
set -eu
bin=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
dir=var/demo
inbox=$dir/inbox
nightly=$dir/nightly
rm -rf "$dir"
mkdir -p "$inbox" "$nightly"
cat >"$dir/campaignd.toml" <<EOF
state_dir = "$dir/state"
campaigns_dir = "configs/campaigns"
listen = "127.0.0.1:8026"
rescan = "1s"

[[inboxes]]
path = "$inbox"
settle = "200ms"

[[inboxes]] # one file a night is enough: the columns are the campaign's variables
path = "$nightly"
application = 1
campaign = 8
layout = "columns"
settle = "200ms"
sidecar_wait = "500ms"

[[applications]]
id = 1
name = "Demo shop"
timezone = "Europe/Madrid"
country = "ES"
slicing = {enabled = true, activation_recipients = 100, slot = "5s", capacity = 120}

[applications.channels.cloud_api]
driver = "outbox"
path = "$dir/outbox.jsonl"
contacts = "phone"
EOF
export CAMPAIGND_CONFIG="$dir/campaignd.toml"

"$bin" run >"$dir/daemon.log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true' EXIT INT TERM

# wait_for TEXT COMMAND...: until the command succeeds.
wait_for() {
  what=$1
  shift
  tries=0
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$pid" 2>/dev/null; then
      echo "Not within 30 seconds: $what. The daemon's log: $dir/daemon.log"
      exit 1
    fi
    sleep 0.1
  done
}

# is_there PATTERN: a file of that name exists.
is_there() { for found in $1; do [ -e "$found" ] && return; done; return 1; }

# ended FOLDER NAME: the drop's folder is in done/ or failed/.
ended() { is_there "$1/done/$2.*/report.txt" || is_there "$1/failed/$2.*/report.txt"; }

# progress: the percent of the sliced sending, as its status.json says it.
progress() { sed -n 's/.*"percent": *\([0-9.]*\).*/\1/p' "$inbox"/accepted/sale.*/status.json 2>/dev/null || true; }

# drop NAME: layout and sidecar for a CSV that is there already.
drop() {
  echo '{"contact": {"contactCode": "{{phone}}", "channelType": "cloud_api"}, "customFields": {"name": "{{name}}", "age": "{{age}}"}}' >"$inbox/$1.layout.json"
  echo '{"applicationId": 1, "campaignId": 8}' >"$inbox/$1.schedule.json"
}

step() { printf '\n%s\n' "$1"; }

wait_for "the daemon answers" "$bin" status

step "1. 300 recipients are dropped as files; each slot of 5 seconds may send 120 messages, so they are spread over several:"
{
  echo "phone,name,age"
  i=0
  while [ "$i" -lt 300 ]; do
    echo "+34666100$(printf %03d "$i"),Ada,30"
    i=$((i + 1))
  done
} >"$inbox/sale.csv"
cp "$inbox/sale.csv" "$dir/sale-again.csv"
drop sale
wait_for "the drop is taken in" is_there "$inbox/accepted/sale.*/status.json"
wait_for "it is scheduled" grep -q '"scheduledAt"' "$inbox"/accepted/sale.*/status.json
"$bin" timeline

step "2. An empty file sale.pause pauses it, and sale.resume lets it go on:"
: >"$inbox/sale.pause"
wait_for "it is paused" grep -q '"paused"' "$inbox"/accepted/sale.*/status.json
echo "   paused at $(progress)%"
: >"$inbox/sale.resume"
wait_for "it goes on" grep -q '"state": *"s' "$inbox"/accepted/sale.*/status.json

step "3. A number is read as people of the application's country write it, and a bad row doesn't stop the good ones:"
printf 'phone,name,age\n666 777 888,Grace,41\n+34666555666,Alan,37\n12,Bad,1\n' >"$inbox/rows.csv"
drop rows
wait_for "the rows are sent" ended "$inbox" rows
grep -o '"to":"[^"]*"' "$dir/outbox.jsonl" | grep 34666777888 | sed 's/^/   666 777 888 is sent as /'
sed 's/^/   rejected.csv: /' "$inbox"/done/rows.*/rejected.csv

step "4. The same drop again is refused:"
cp "$dir/sale-again.csv" "$inbox/again.csv"
drop again
wait_for "it is refused" ended "$inbox" again
head -n 1 "$inbox"/failed/again.*/report.txt | sed 's/^/   /'

step "5. One CSV alone is enough where the inbox has defaults:"
printf 'phone,name,age\n666222333,Edsger,72\n' >"$nightly/2026-11-28.csv"
wait_for "it is sent" ended "$nightly" 2026-11-28
head -n 1 "$nightly"/done/2026-11-28.*/report.txt | sed 's/^/   /'

if [ -n "${DEMO_PICTURE:-}" ]; then # make picture
  timeout 60 "${CHROMIUM:-chromium}" --headless --no-sandbox --hide-scrollbars --window-size=1200,900 \
    --screenshot="$DEMO_PICTURE" "$("$bin" dashboard | grep http)" >"$dir/chromium.log" 2>&1
fi

step "6. Meanwhile the first sending goes through its slots:"
until ended "$inbox" sale; do
  echo "   $(progress)% sent"
  sleep 2
  kill -0 "$pid" || exit 1
done
head -n 1 "$inbox"/done/sale.*/report.txt | sed 's/^/   /'
"$bin" status --all

step "The dashboard of this daemon:"
"$bin" dashboard
if [ -t 0 ] && [ -t 1 ]; then
  printf '\nPress Enter to stop the daemon. Everything is in %s. ' "$dir"
  read -r _ || true
else
  echo "Everything is in $dir."
fi
