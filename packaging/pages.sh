#!/bin/sh
# Copies the pages into a new folder as they are installed: side by side, with links to files of
# the package. packaging/pages.sh FOLDER
set -eu
mkdir "$1"
cp -R docs/*.md docs/*.svg docs/decisions docs/monitoring CHANGELOG.md CONTRIBUTING.md internal/control/openapi.json "$1/"
cp inbox/README.md "$1/partners.md"
cp configs/campaignd.toml "$1/campaignd.toml.sample"
find "$1" -name '*.md' -exec sed -i '
	s#\[configs/campaignd\.toml\]#[campaignd.toml.sample]#g
	s#\.\./configs/campaignd\.toml#campaignd.toml.sample#g
	s#\[inbox/README\.md\]#[partners.md]#g
	s#\.\./inbox/README\.md#partners.md#g
	s#\.\./internal/control/##g
	s#\.\./C\([A-Z]*\.md\)#C\1#g' {} +
sed -i 's#docs/##g' "$1/CONTRIBUTING.md" "$1/CHANGELOG.md" "$1/campaignd.toml.sample"
