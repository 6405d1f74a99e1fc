#!/bin/sh
# Debian: remove, upgrade …. RPM: 0 when the last version goes.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;; # an upgrade restarts it afterwards
esac
[ -d /run/systemd/system ] || exit 0
# Installed anew it starts again, unless an administrator had switched it off.
if systemctl --quiet is-enabled campaignd.service && [ -d /var/lib/campaignd ]; then
	: >/var/lib/campaignd/.enabled-when-removed
fi
systemctl --no-reload disable --now campaignd.service || true
