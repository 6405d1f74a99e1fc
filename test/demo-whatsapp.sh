#!/bin/sh
# The WhatsApp demo: a daemon whose channel talks to a strict fake of the Cloud API,
# one drop of ten rows, and what came back. demo-whatsapp.sh path/to/campaignd path/to/graphfake
set -eu
bin=$(realpath "$1")
fake=$(realpath "$2")
dir=$(mktemp -d)
pids=
end() {
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  for pid in $pids; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$dir"
}
trap end EXIT INT TERM
cd "$dir"

# wait_for SECONDS COMMAND...: until the command succeeds
wait_for() {
  left=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "Waited in vain for: $*"
      cat daemon.log
      exit 1
    fi
    sleep 0.1
  done
}

"$fake" -address-file address >fake.log 2>&1 &
fakepid=$!
pids=$fakepid
wait_for 10 test -s address

mkdir campaigns inbox
echo secret-token >token
cat >campaignd.toml <<TOML
state_dir = "state"
campaigns_dir = "campaigns"
[[inboxes]]
path = "inbox"
application = 1
campaign = 1
settle = "100ms"
[[applications]]
id = 1
max_bad_rows = "50%"
[applications.channels.whatsapp]
driver = "whatsapp"
base_url = "http://$(cat address)"
phone_number_id = "106540352242922"
token_file = "token"
rate = 80
TOML
cat >campaigns/1.json <<'JSON'
{"id": 1, "applicationId": 1, "title": "Tickets", "enabled": true, "channelTypes": ["whatsapp"], "messageContent": [
  {"template": {"name": "ticket_answered", "language": "en_US", "components": [
    {"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}, {"type": "text", "text": "{{ticket}}"}]},
    {"type": "button", "subType": "quickReply", "index": 0, "parameters": [{"type": "payload", "payload": "close-{{ticket}}"}]}]}}]}
JSON
"$bin" --config campaignd.toml run >daemon.log 2>&1 &
pids="$fakepid $!"
wait_for 10 "$bin" --config campaignd.toml status

echo "Ten rows: one number is none, one name has a line break; four contacts are answered otherwise than with a plain yes."
cat >inbox/tickets.csv <<'CSV'
phone,name,ticket
+34 666 000 101,Ann,1001
+34 666 000 102,Bob,1002
+34 666 000 103,Cid,1003
+34 666 000 104,Dan,1004
(34) 666-000-105,Eve,1005
34666000106,"Fay O""Hara",1006
34666000107,José,1007
34666000108,{{name}},1008
ask her,Gil,1009
34666000110,"Hal
Jones",1010
CSV
cat >inbox/tickets.layout.json <<'JSON'
{"contact": {"contactCode": "{{phone}}", "channelType": "whatsapp"}, "customFields": {"name": "{{name}}", "ticket": "{{ticket}}"}}
JSON
echo '{}' >inbox/tickets.schedule.json
wait_for 60 sh -c 'ls inbox/done/*/report.txt || ls inbox/failed/*/report.txt'

echo
echo "What the API was asked, and answered:"
kill "$fakepid"
wait "$fakepid" || { cat fake.log; echo "The API found something wrong with a request."; exit 1; }
sed 's/^/  /' fake.log
echo
echo "What came back to the folder, report.txt and results.csv:"
cat inbox/*/tickets.*/report.txt
echo
cat inbox/*/tickets.*/results.csv
# As many as it must be, or the demo has failed.
test "$(grep -c ',sent,' inbox/done/tickets.*/results.csv)" = 6
test "$(grep -c ',failed,' inbox/done/tickets.*/results.csv)" = 2
test "$(grep -c ',rejected,' inbox/done/tickets.*/results.csv)" = 2
