package config

import (
	"maps"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// mask replaces secrets in Show.
const mask = "*****"

// keyHeaders returns a Key for HTTP headers.
func keyHeaders[T any](scope Scope, name string, field func(*T) *map[string]string, meaning string) Key {
	c := codec[map[string]string]{kind: "table of strings", parse: parseHeaders, format: formatHeaders}
	return Key{Scope: scope, Name: name, Kind: c.kind, Meaning: meaning,
		bind: bound[T, map[string]string]{c, field, func(m map[string]string) bool { return len(m) == 0 }}}
}

func parseHeaders(n *node, bad reportFunc) (map[string]string, bool) {
	if !n.isTable() {
		bad(n, `found %s where a table is wanted, such as {Name = "value"}`, kindName(n))
		return nil, false
	}
	out, ok := map[string]string{}, true
	refuse := func(at *node, format string, args ...any) {
		bad(at, format, args...)
		ok = false
	}
	seen := map[string]bool{}
	for _, name := range n.names {
		v := n.keys[name].value
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		switch {
		case !headerName(name):
			refuse(v, "%q can't be the name of a header", clip(name))
		case reservedHeader(canonical):
			refuse(v, "header %s is set by the driver itself", name)
		case seen[canonical]:
			refuse(v, "header %s is there twice", name)
		case v.kind != unstable.String:
			refuse(v, "found %s where header %s needs a string in quotes", kindName(v), name)
		case strings.ContainsFunc(v.text, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			refuse(v, "the value of header %s holds a control character", name)
		default:
			out[name] = v.text
		}
		seen[canonical] = true
	}
	return out, ok
}

// reservedHeader reports whether the webhook driver or net/http sets that header.
func reservedHeader(canonical string) bool {
	switch canonical {
	case "Content-Type", "Content-Length", "Transfer-Encoding", "Connection", "Idempotency-Key",
		"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
		return true
	}
	return false
}

func formatHeaders(headers map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name]
		if CredentialHeader(name) {
			value = mask
		}
		all = append(all, quote(name)+" = "+quote(value))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// CredentialHeader reports whether the name looks like that of a secret.
func CredentialHeader(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"auth", "token", "secret", "key", "password", "passwd", "pwd", "cookie", "credential", "signature", "sig", "session"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// maskURL returns raw without a password or a secret in its query.
func maskURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return mask
	}
	hidden := false
	if u.User != nil {
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), mask)
			hidden = true
		}
	}
	query := u.Query()
	for name := range query {
		if CredentialHeader(name) {
			query[name] = []string{mask}
			hidden = true
		}
	}
	if !hidden {
		return raw
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// maskedURL returns c with a format that masks secrets.
func maskedURL(c codec[string]) codec[string] {
	c.format = func(s string) string { return quote(maskURL(s)) }
	return c
}
