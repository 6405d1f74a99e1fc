#!/bin/sh
# Builds the package for this machine's architecture twice, in two folders, and compares the
# bytes. Checks that the binary needs no library, and the links of the installed pages. packaging/twice.sh GO
set -eu
go=$1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
arch=$("$go" env GOHOSTARCH)
VERSION=$(git describe --tags --always)
COMMIT=$(git rev-parse --short=12 HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export VERSION COMMIT SOURCE_DATE_EPOCH
for one in a b; do
	# Two folders, because the package must not contain the path it was built in.
	mkdir "$dir/$one"
	git archive HEAD | tar -x -C "$dir/$one"
	(cd "$dir/$one" && DIST="$dir/$one-dist" sh packaging/build.sh "$go" "$arch" >/dev/null)
done
diff -r "$dir/a-dist" "$dir/b-dist" && echo "the same bytes twice:"
sha256sum "$dir"/a-dist/* | sed "s#$dir/a-dist/##"
mkdir "$dir/deb"
if command -v dpkg-deb >/dev/null; then
	dpkg-deb -x "$dir"/a-dist/*.deb "$dir/deb"
	# A static binary names no interpreter.
	if grep -q "ld-linux" "$dir/deb/usr/bin/campaignd"; then
		echo "the binary is not static" >&2
		exit 1
	fi
	"$dir/deb/usr/bin/campaignd" version
fi
mkdir "$dir/rpm"
if command -v rpm2cpio >/dev/null && command -v cpio >/dev/null; then
	(cd "$dir/rpm" && rpm2cpio "$dir"/a-dist/*.rpm | cpio -idm --quiet)
fi
for kind in deb rpm; do
	pages=$dir/$kind/usr/share/doc/campaignd
	[ ! -d "$pages" ] || CAMPAIGND_PAGES=$pages "$go" test -count=1 -run '^TestLinksOfInstalledPagesLeadSomewhere$' ./internal
done
