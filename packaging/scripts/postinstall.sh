#!/bin/sh
# Arguments: configure [OLD VERSION] on Debian, the number of installed versions on RPM systems.
set -e
case "$1" in
configure) [ -z "$2" ] && first=yes || first=no ;;
1) first=yes ;;
2) first=no ;;
*) exit 0 ;; # abort-upgrade and the like, where nothing was undone
esac

# Debian also passes the old version if the package was removed but not purged.
if [ -e /var/lib/campaignd/.enabled-when-removed ]; then
	rm -f /var/lib/campaignd/.enabled-when-removed
	first=yes
fi

# A chroot or an image needs the user and the folders too.
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers /usr/lib/sysusers.d/campaignd.conf
elif ! getent passwd campaignd >/dev/null; then
	useradd --system --user-group --no-create-home --home-dir /var/lib/campaignd --shell /usr/sbin/nologin campaignd
fi
install -d -o campaignd -g campaignd -m 0751 /var/lib/campaignd
install -d -o campaignd -g campaignd -m 0755 /var/lib/campaignd/inbox
install -d -o root -g root -m 0700 /etc/campaignd/credentials
install -d -o root -g root -m 0755 /srv/campaignd

# systemd 253 and later know notify-reload. This file is not configuration: it is removed with the package.
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
	systemctl try-restart campaignd.service || echo "campaignd did not start again: see journalctl -u campaignd" >&2
elif [ "$1" = configure ]; then
	# Debian starts services at installation; on RPM systems the administrator does.
	systemctl enable --now campaignd.service || echo "campaignd did not start: see journalctl -u campaignd" >&2
fi
if [ "$first" = yes ]; then
	cat <<'EOF'
campaignd is installed. Next:
  1. Describe your application and its channels in /etc/campaignd/campaignd.toml, then run: systemctl reload campaignd
  2. Set up a partner who uploads over SFTP: campaignd partner add NAME --application 1
  3. Check everything and open the dashboard: campaignd doctor && campaignd dashboard
The pages are in /usr/share/doc/campaignd; begin with install.md.
EOF
fi
