#!/bin/bash
# Runs in the container, as an administrator would type it. Each check leaves a line in
# /e2e/result: "ok NAME" or "FAILED NAME"; all that was printed is in /e2e/log.
exec >/e2e/log 2>&1
set -x
export DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER= LC_ALL=C.UTF-8
old=$(ls /e2e/*_0.1.0*.deb) new=$(ls /e2e/*_0.2.0*.deb)
inbox=/var/lib/campaignd/inbox

check() { # NAME COMMAND…
	local name=$1
	shift
	if "$@"; then echo "ok $name" >>/e2e/result; else
		echo "FAILED $name" >>/e2e/result
		systemctl status campaignd --lines 30
	fi
}
# soon waits for a fact, at most half a minute.
soon() {
	for _ in $(seq 150); do
		"$@" && return 0
		read -rt 0.2 <>/e2e/never
	done
	return 1
}
mkfifo /e2e/never
property() { systemctl show campaignd -p "$1" --value; }
active() { [ "$(property ActiveState)" = active ]; }
is() { [ "$(property "$1")" = "$2" ]; } # PROPERTY VALUE
drop() { # INBOX NAME [KEYS OF THE SIDECAR]
	printf 'contactCode\n34600000001\n34600000002\n' >"$1/$2.csv.tmp"
	printf '{"contact":{"contactCode":"{{contactCode}}","channelType":"cloud_api"}}' >"$1/$2.layout.json"
	mv "$1/$2.csv.tmp" "$1/$2.csv"
	printf '{"applicationId":1,"campaignId":7,"resend":true%s}' "$3" >"$1/$2.schedule.json"
}
completed() { grep -qs '"state": *"completed"' "$1"/done/"$2".*/report.json; }
scheduled() { grep -qs '"state": *"scheduled"' "$1"/accepted/"$2".*/status.json; }
journal() { journalctl -q -u campaignd -o cat | grep -q "$1"; }

# Installed: it runs at once, as Debian's services do.
check install dpkg -i "$old"
check started soon active
check enabled systemctl is-enabled campaignd
check status-line soon sh -c 'systemctl show campaignd -p StatusText --value | grep -q "scheduled.*in flight"'
check version sh -c 'campaignd version | grep -q 0.1.0'
check manual test -e /usr/share/man/man1/campaignd.1.gz
check not-root sh -c '[ "$(stat -c %U /proc/'"$(property MainPID)"')" = campaignd ]'
# Only bit 28, CAP_LEASE, in every set.
check one-capability sh -c 'grep -c "Cap\(Prm\|Eff\|Bnd\|Amb\):.0000000010000000" /proc/'"$(property MainPID)"'/status | grep -qx 4'
check exposure systemd-analyze security --threshold=15 campaignd

# A drop is received and sent.
drop $inbox first
check drop soon completed $inbox first

# A partner: account, inbox, rights; the daemon learns of it at a reload.
check partner campaignd partner add shop --application 1 --make
check reload systemctl reload campaignd
check reloaded soon journal '"reloaded"\|msg=reloaded'
# Its folders are there before its first drop: a partner may look into them.
check partner-inbox soon test -d /srv/campaignd/shop/inbox/done
setpriv --reuid shop --regid shop --init-groups bash -c "umask 022; $(declare -f drop); drop /srv/campaignd/shop/inbox theirs"
check partner-drop soon completed /srv/campaignd/shop/inbox theirs
theirs=$(echo /srv/campaignd/shop/inbox/done/theirs.*)
check partner-reads setpriv --reuid shop --regid shop --init-groups cat "$theirs/report.json" "$theirs/theirs.csv" "$theirs/results.csv"
check partner-writes-not setpriv --reuid shop --regid shop --init-groups sh -c '! echo x >>"$0/report.json" && ! echo x >>"$0/theirs.csv" && ! rm -f "$0/results.csv"' "$theirs"
check nobody-looks setpriv --reuid nobody --regid nogroup --clear-groups sh -c '! ls /srv/campaignd/shop/inbox && ! ls /etc/campaignd/credentials'

# A bad configuration: the reload fails and says so, the old one stays in force.
cp /etc/campaignd/campaignd.toml /e2e/good.toml
echo 'nonsense = 1' >>/etc/campaignd/campaignd.toml
check bad-reload-fails sh -c '! systemctl reload campaignd'
check bad-reload-keeps active
pid=$(property MainPID)
# Not started again and again with it: exit status 2.
check bad-restart sh -c '! systemctl restart campaignd'
check bad-status is ExecMainStatus 2
check bad-stays soon is ActiveState failed
check bad-restarts is NRestarts 0
cat /e2e/good.toml >/etc/campaignd/campaignd.toml

# A secret that the daemon's user can't read reaches it through LoadCredential=.
mkdir -p /etc/systemd/system/campaignd.service.d
printf 'whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0\n' >/etc/campaignd/credentials/hook
chmod 600 /etc/campaignd/credentials/hook
printf '[Service]\nLoadCredential=hook:/etc/campaignd/credentials/hook\nWatchdogSec=6\nTimeoutAbortSec=3\n' >/etc/systemd/system/campaignd.service.d/e2e.conf
cat >>/etc/campaignd/campaignd.toml <<'T'
[[applications]]
id = 2
[applications.channels.hook]
driver = "webhook"
url = "http://127.0.0.1:9/x"
secret_file = "credential:hook"
T
systemctl daemon-reload
check credential systemctl start campaignd
check credential-active active

# Killed: it comes up by itself, and what was accepted is still there.
drop $inbox later ', "delay": "P1D"'
check later soon scheduled $inbox later
systemctl kill --signal KILL campaignd
check killed soon is NRestarts 1
check killed-active soon active
check killed-kept sh -c 'campaignd status | grep -q later'
# Hanging: the watchdog ends it and it is started anew.
kill -STOP "$(property MainPID)"
check watchdog soon is NRestarts 2
check watchdog-active soon active
check watchdog-journal soon journal 'Watchdog timeout'
rm /etc/systemd/system/campaignd.service.d/e2e.conf
sed -i '/^id = 2$/,$d' /etc/campaignd/campaignd.toml
sed -i '$d' /etc/campaignd/campaignd.toml
systemctl daemon-reload
check restart systemctl restart campaignd

# Installed again, and a later version over its data: both keep what the administrator wrote.
echo '# mine' >>/etc/campaignd/campaignd.toml
check again dpkg -i "$old"
check again-active soon active
check again-config grep -qx '# mine' /etc/campaignd/campaignd.toml
check upgrade dpkg -i "$new"
check upgrade-active soon active
check upgrade-version sh -c 'campaignd version | grep -q 0.2.0'
check upgrade-config grep -qx '# mine' /etc/campaignd/campaignd.toml
check upgrade-data sh -c 'campaignd status | grep -q later'
check upgrade-store campaignd doctor --deep
drop $inbox second
check upgrade-drop soon completed $inbox second

# Stopped, within its limit and in order.
check stop systemctl stop campaignd
check stop-result is Result success
check stop-inactive is ActiveState inactive
check stop-log journal 'stopped'
systemctl start campaignd

# Removed: data and configuration stay. Installed anew it goes on.
check remove dpkg -r campaignd
check remove-stopped sh -c '! pgrep -x campaignd'
check remove-binary test ! -e /usr/bin/campaignd
check remove-keeps test -e /var/lib/campaignd/campaignd.db -a -e /etc/campaignd/campaignd.toml
check anew dpkg -i "$new"
check anew-active soon active
check anew-data sh -c 'campaignd status | grep -q later'

# Purged: what is the package's is gone; what is a partner's stays.
check purge dpkg -P campaignd
check purge-data test ! -e /var/lib/campaignd -a ! -e /etc/campaignd
check purge-partner test -e "$theirs/report.json"
check purge-unit sh -c '! systemctl cat campaignd'
check purge-leaves sh -c '! ls /etc/systemd/system/*/campaignd.service /usr/lib/systemd/system/campaignd.service.d /var/lib/systemd/deb-systemd-helper-enabled/campaignd*'
echo end >>/e2e/result
