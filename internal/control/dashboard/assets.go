package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"campaignd/internal/control"
)

//go:embed assets/*
var assetFiles embed.FS

// assets maps the names of the style sheet, the script and the icon to their
// content. The address of each contains its digest, so that browsers can cache it
// for ever and never use an old one.
type assets map[string]asset

type asset struct {
	data   []byte
	digest string
}

func loadAssets() (assets, error) {
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		return nil, fmt.Errorf("read embedded files: %w", err)
	}
	all := assets{}
	for _, e := range entries {
		data, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read embedded file: %w", err)
		}
		sum := sha256.Sum256(data)
		all[e.Name()] = asset{data, hex.EncodeToString(sum[:6])}
	}
	return all, nil
}

// path returns the address of a file, for templates.
func (a assets) path(name string) (string, error) {
	one, ok := a[name]
	if !ok {
		return "", fmt.Errorf("there is no embedded file %q", name)
	}
	return control.PathAssets + one.digest + "/" + name, nil
}

// ServeHTTP answers for PathAssets.
func (a assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	digest, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, control.PathAssets), "/")
	one, ok := a[name]
	if !ok || digest != one.digest {
		http.NotFound(w, r)
		return
	}
	// The machine's own table of types may lack them.
	kind := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}[path.Ext(name)]
	w.Header().Set("Content-Type", mime.FormatMediaType(kind, map[string]string{"charset": "utf-8"}))
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(one.data))
}
