#!/bin/sh
# Builds .deb and .rpm of both architectures in dist/. The same commit and the same
# Go version give the same bytes, because all times are those of the commit.
#   packaging/build.sh GO [ARCHITECTURE…]
# VERSION, COMMIT, DIST (dist) and KINDS (deb rpm) can be set in the environment.
set -eu
go=$1
shift
[ $# -gt 0 ] || set -- amd64 arm64
nfpm="$go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.2"

version=${VERSION:-$(git describe --tags --always --dirty)}
commit=${COMMIT:-$(git rev-parse --short=12 HEAD)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
PACKAGE_DATE=$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
case "$version" in
v[0-9]* | [0-9]*.*) PACKAGE_VERSION=$(printf '%s' "${version#v}" | sed 's/-/+/; s/-/./g') ;;
*) PACKAGE_VERSION="0.0.0~git$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(printf '%s' "$version" | sed 's/-/./g')" ;;
esac
export SOURCE_DATE_EPOCH PACKAGE_DATE PACKAGE_VERSION CGO_ENABLED=0 GOFLAGS=-buildvcs=false LC_ALL=C TZ=UTC
umask 022

STAGE=$(mktemp -d)
trap 'rm -rf "$STAGE"' EXIT
export STAGE
build() {
	GOOS=linux GOARCH=$1 "$go" build -trimpath \
		-ldflags "-s -w -buildid= -X main.version=$version -X main.commit=$commit -X main.date=$PACKAGE_DATE" \
		-o "$STAGE/campaignd" ./cmd/campaignd
}

# The man pages and completions come from a binary for this machine.
build "$("$go" env GOHOSTARCH)"
"$STAGE/campaignd" man "$STAGE/man" >/dev/null
gzip -9n "$STAGE"/man/*.1
for shell in bash zsh fish; do "$STAGE/campaignd" completion "$shell" >"$STAGE/completion.$shell"; done
cp systemd/campaignd.service systemd/campaignd-worker.service systemd/notify-reload.conf systemd/standby.conf "$STAGE/"
sed -i 's#docs/\([a-z-]*\.md\)#/usr/share/doc/campaignd/\1#' "$STAGE"/*.service "$STAGE"/*.conf
sh packaging/pages.sh "$STAGE/doc"
cp LICENSE "$STAGE/copyright"
cp systemd/campaignd.sysusers "$STAGE/sysusers.conf"
cp systemd/campaignd.tmpfiles "$STAGE/tmpfiles.conf"
cp packaging/campaignd.toml packaging/sshd-partners.conf configs/campaigns/7.json "$STAGE/"

DIST=${DIST:-dist}
mkdir -p "$DIST"
for PACKAGE_ARCH; do
	export PACKAGE_ARCH
	build "$PACKAGE_ARCH"
	find "$STAGE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	sed "s#\${STAGE}#$STAGE#" packaging/nfpm.yaml >"$STAGE/nfpm.yaml"
	for kind in ${KINDS:-deb rpm}; do $nfpm package --config "$STAGE/nfpm.yaml" --packager "$kind" --target "$DIST/"; done
done
