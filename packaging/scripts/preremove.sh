#!/bin/sh
# Arguments: remove, upgrade … on Debian; on RPM systems 0 when the last version is removed.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;; # an upgrade restarts it afterwards
esac
[ -d /run/systemd/system ] || exit 0
# After a new installation it starts again, unless an administrator had disabled it.
if systemctl --quiet is-enabled campaignd.service && [ -d /var/lib/campaignd ]; then
	: >/var/lib/campaignd/.enabled-when-removed
fi
systemctl --no-reload disable --now campaignd.service || true
