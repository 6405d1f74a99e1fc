#!/bin/sh
# Debian: configure [OLD VERSION]. RPM: the number of versions installed.
set -e
case "$1" in
configure) [ -z "$2" ] && first=yes || first=no ;;
1) first=yes ;;
2) first=no ;;
*) exit 0 ;; # abort-upgrade and the like: nothing was undone
esac

# Debian tells the version of one that was removed and not purged as well.
if [ -e /var/lib/campaignd/.enabled-when-removed ]; then
	rm -f /var/lib/campaignd/.enabled-when-removed
	first=yes
fi

# User and folders are needed in a chroot or an image as well.
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers /usr/lib/sysusers.d/campaignd.conf
elif ! getent passwd campaignd >/dev/null; then
	useradd --system --user-group --no-create-home --home-dir /var/lib/campaignd --shell /usr/sbin/nologin campaignd
fi
install -d -o campaignd -g campaignd -m 0751 /var/lib/campaignd
install -d -o campaignd -g campaignd -m 0755 /var/lib/campaignd/inbox
install -d -o root -g root -m 0700 /etc/campaignd/credentials
install -d -o root -g root -m 0755 /srv/campaignd

# systemd 253 and later know notify-reload. The file is no configuration: it goes and comes with the package.
dropins=/usr/lib/systemd/system/campaignd.service.d
systemd=$(systemctl --version 2>/dev/null | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
if [ "${systemd:-0}" -ge 253 ]; then
	install -d -m 0755 "$dropins"
	install -m 0644 /usr/share/campaignd/notify-reload.conf "$dropins/notify-reload.conf"
else
	rm -f "$dropins/notify-reload.conf"
fi

[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
if [ "$first" = no ]; then
	systemctl try-restart campaignd.service || echo "campaignd did not come up again: see journalctl -u campaignd" >&2
elif [ "$1" = configure ]; then
	# As Debian does. RPM systems leave the start to the administrator.
	systemctl enable --now campaignd.service || echo "campaignd did not start: see journalctl -u campaignd" >&2
fi
