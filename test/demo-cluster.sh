#!/bin/sh
# The cluster in a minute: three NATS servers, a hub, a standby and three workers, a kill of each kind, and
# the accounts at the end. demo-cluster.sh path/to/campaignd path/to/nats-server
set -eu
bin=$(realpath "$1")
server=$(realpath "$2")
dir=$(mktemp -d)
pids=
end() {
  for pid in $pids; do kill -9 "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$dir"
}
trap end EXIT INT TERM
cd "$dir"

# start NAME COMMAND...: in the background; its process id is in $started.
start() {
  log=$1.log
  shift
  "$@" >>"$log" 2>&1 &
  started=$!
  pids="$pids $started"
}

# wait_for SECONDS WHAT COMMAND...: until the command succeeds.
wait_for() {
  left=$(($1 * 10))
  what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "Waited in vain: $what"
      tail -n 5 ./*.log
      exit 1
    fi
    sleep 0.1
  done
}

base=$((20000 + $$ % 10000))
for n in 1 2 3; do
  cat >nats$n.conf <<CONF
server_name: n$n
listen: "127.0.0.1:$((base + n))"
jetstream: {store_dir: "$dir/nats$n", sync_interval: always}
cluster: {name: demo, listen: "127.0.0.1:$((base + 10 + n))", routes: ["nats://127.0.0.1:$((base + 11))", "nats://127.0.0.1:$((base + 12))", "nats://127.0.0.1:$((base + 13))"]}
CONF
  start nats$n "$server" -c nats$n.conf
  eval "nats$n=$started"
done

mkdir campaigns inbox hub standby
echo '{"id":7,"applicationId":1,"title":"Spring","enabled":true,"channelTypes":["push"],"messageContent":[{"body":"Hello {{name}}"}]}' >campaigns/7.json
for machine in hub standby; do
  cat >$machine.toml <<TOML
state_dir = "$machine"
campaigns_dir = "campaigns"
rescan = "1s"
[nats]
servers = ["nats://127.0.0.1:$((base + 1))", "nats://127.0.0.1:$((base + 2))", "nats://127.0.0.1:$((base + 3))"]
name = "demo"
[standby]
[[inboxes]]
path = "inbox"
application = 1
campaign = 7
layout = "columns"
settle = "100ms"
sidecar_wait = "200ms"
[[applications]]
id = 1
[applications.channels.push]
driver = "outbox"
path = "received.jsonl"
rate = 300
concurrency = 8
send_from = "workers"
answer_wait = "12s"
TOML
done

# role MACHINE ROLE: whether the machine has it
role() { "$bin" status --json --config "$1.toml" | tr -d ' \n' | grep -q "\"role\":\"$2\""; }
ready() { "$bin" status --json --config hub.toml | tr -d ' \n' | grep -q '"ready":true'; }
received() { wc -l <received.jsonl; }
# more N: whether more than N messages have arrived
more() { [ "$(received)" -gt "$1" ]; }
ended() { ls inbox/done/*/results.csv; }

echo "Three NATS servers, a hub, a standby and three workers."
start hub "$bin" run --config hub.toml
hub=$started
wait_for 60 "the hub leads" role hub hub
start standby "$bin" run --standby --config standby.toml
wait_for 60 "the standby is ready" ready
for n in 1 2 3; do
  start worker$n "$bin" worker --config hub.toml
  eval "worker$n=$started"
done
touch received.jsonl

echo "A drop of 9,000 rows, at 300 a second."
i=0
{
  echo "contactCode,name"
  while [ $i -lt 9000 ]; do
    echo "346$((10000000 + i)),n$i"
    i=$((i + 1))
  done
} >spring.csv
mv spring.csv inbox/
wait_for 30 "messages arrive" more 600

echo "Worker 1 is killed after $(received) messages: the others go on."
kill -9 "$worker1"
wait_for 30 "the others go on" more $(($(received) + 600))

echo "A NATS server is killed after $(received): the other two keep everything."
kill -9 "$nats1"
wait_for 60 "sending goes on" more $(($(received) + 900))
start nats1 "$server" -c nats1.conf

echo "The hub is killed after $(received)."
at=$(received)
began=$(date +%s)
kill -9 "$hub"
wait_for 60 "the standby leads" role standby hub
sleep 1
at=$(received)
wait_for 30 "the standby sends" more "$at"
echo "The standby sends, at most $(($(date +%s) - began)) seconds later."
wait_for 180 "the drop ends" ended

echo
echo "The accounts:"
tail -n +2 inbox/done/*/results.csv | cut -d, -f5 | sort | uniq -c | while read -r n outcome; do echo "  $n $outcome by the report"; done
echo "  $(received) lines at the receiver"
echo "  $(grep -o '"key":"[^"]*"' received.jsonl | sort -u | wc -l) different messages"
echo "  $(grep -o '"key":"[^"]*"' received.jsonl | sort | uniq -d | wc -l) of them twice, under the same key: what the killed worker had in hand is sent again (on_unknown = \"retry\")"
