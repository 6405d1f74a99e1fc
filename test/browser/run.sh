#!/bin/sh
# The dashboard in a real Chromium: run.sh path/to/campaignd go. Debian's package
# is installed where there is none and root may; elsewhere the tests skip and say so.
set -eu
bin=$(realpath "$1")
go=$2

have() { command -v chromium || command -v chromium-headless-shell || command -v chromium-browser || command -v google-chrome; }

if ! have >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "No Chromium: installing Debian's."
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; } >var/chromium-install.log 2>&1 ||
    echo "It can't be had here; var/chromium-install.log says why."
fi

"$go" vet -tags browser ./test/browser
CAMPAIGND_BIN=$bin "$go" test -tags browser -count=1 -timeout 5m -v ./test/browser
if have >/dev/null; then echo "What it saw is in var/screenshots/."; fi
