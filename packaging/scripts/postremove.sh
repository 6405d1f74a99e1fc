#!/bin/sh
# Debian: remove, purge, upgrade …. RPM: never "purge", so an RPM leaves the data.
set -e
case "$1" in
purge)
	# Contacts and secrets go with a purge. Partners' folders in /srv/campaignd and the
	# accounts stay: files may belong to them.
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
