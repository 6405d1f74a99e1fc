#!/bin/sh
# Arguments: remove, purge, upgrade … on Debian. RPM has no "purge", so an RPM leaves the data.
set -e
case "$1" in
purge)
	# A purge deletes contacts and secrets. Partners' folders in /srv/campaignd and their
	# accounts stay, because files may belong to them.
	rm -rf /var/lib/campaignd /etc/campaignd
	rmdir /srv/campaignd 2>/dev/null || true
	;;
remove | 0) ;;
*) exit 0 ;;
esac
rm -rf /usr/lib/systemd/system/campaignd.service.d
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
fi
