#!/bin/sh
# End to end on the real things: run.sh path/to/go [sftp] [systemd] [hostile]. Root installs Debian's
# packages where they are missing; what can't be had is said, and its tests skip.
#   CAMPAIGND_E2E_CACHE   where the container's root file system is kept
set -eu
go=$1
shift
[ $# -gt 0 ] || set -- sftp systemd hostile
parts=" $* "
wants() { case "$parts" in *" $1 "*) return 0 ;; *) return 1 ;; esac; }
mkdir -p var
log=$PWD/var/e2e-install.log
: >"$log"

need() { # PACKAGE…: those that are not installed
	for package; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || echo "$package"
	done
}
packages=
wants sftp && packages="openssh-server openssh-client curl lftp rclone python3-paramiko"
wants systemd && packages="$packages systemd-container debootstrap"
if [ "$(id -u)" != 0 ]; then
	echo "e2e: not root: accounts, a chroot and a container can't be had; those tests skip."
elif ! command -v apt-get >/dev/null; then
	echo "e2e: no apt-get: what is missing of $packages is not installed."
else
	missing=$(need $packages | tr '\n' ' ')
	if [ -n "$missing" ]; then
		echo "e2e: installing $missing"
		{ timeout 120 apt-get update -q && DEBIAN_FRONTEND=noninteractive timeout 300 apt-get install -qy --no-install-recommends $missing; } >>"$log" 2>&1 ||
			echo "e2e: they can't be had here; var/e2e-install.log says why."
	fi
fi

if wants systemd && [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
	cache=${CAMPAIGND_E2E_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/campaignd-e2e}
	if [ ! -e "$cache/rootfs.tar" ]; then
		echo "e2e: making a root file system for the container in $cache, once"
		timeout "${CAMPAIGND_E2E_PATIENCE:-900}" unshare --mount --propagation private sh test/e2e/testdata/rootfs.sh "$cache" >>"$log" 2>&1 ||
			echo "e2e: it can't be made here; var/e2e-install.log says why."
	fi
	export CAMPAIGND_ROOTFS="$cache/rootfs.tar"
	# Two versions of the package, so that there is one to upgrade from.
	if [ -e "$CAMPAIGND_ROOTFS" ]; then
		CAMPAIGND_DEBS=$(mktemp -d)
		export CAMPAIGND_DEBS
		trap 'rm -rf "$CAMPAIGND_DEBS"' EXIT
		for version in v0.1.0 v0.2.0; do
			VERSION=$version DIST=$CAMPAIGND_DEBS KINDS=deb sh packaging/build.sh "$go" "$("$go" env GOARCH)" >>"$log" 2>&1
		done
	fi
fi

"$go" vet -tags e2e ./test/e2e
run=
wants sftp && run="TestSFTP"
wants systemd && run="${run:+$run|}TestSystemd"
wants hostile && run="${run:+$run|}TestHostile"
"$go" test -tags e2e -count=1 -timeout "${CAMPAIGND_E2E_TIMEOUT:-15m}" -parallel 12 -v -run "^($run)\$" ./test/e2e
