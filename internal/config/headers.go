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

// Headers is the codec of a table of HTTP headers. It refuses those that the driver sets itself,
// and net/http's. The values of those that look like credentials are secrets.
func Headers(reserved ...string) Codec[map[string]string] {
	own := []string{"Content-Type", "Content-Length", "Transfer-Encoding", "Connection"}
	for _, name := range reserved {
		own = append(own, textproto.CanonicalMIMEHeaderKey(name))
	}
	return Codec[map[string]string]{kind: "table of strings", format: formatHeaders,
		parse: func(n *node, bad reportFunc) (map[string]string, bool) { return parseHeaders(n, own, bad) },
		hidden: func(headers map[string]string) (list []string) {
			for name, value := range headers {
				if credentialHeader(name) {
					list = append(list, value)
				}
			}
			return list
		}}
}

func parseHeaders(n *node, reserved []string, bad reportFunc) (map[string]string, bool) {
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
		case slices.Contains(reserved, canonical):
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

func formatHeaders(headers map[string]string) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		value := headers[name]
		if credentialHeader(name) {
			value = mask
		}
		all = append(all, quote(name)+" = "+quote(value))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// credentialHeader reports whether the name looks like that of a secret.
func credentialHeader(name string) bool {
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
		if credentialHeader(name) {
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

// WebURL is the codec of an absolute http or https URL. A password and the query are secrets.
func WebURL() Codec[string] { return maskedURL(Text("http or https", webURL)) }

// SecureURL is the codec of an absolute https URL, or of an http one to this machine.
func SecureURL() Codec[string] { return maskedURL(Text("https, or http to this machine", secureURL)) }

func maskedURL(c Codec[string]) Codec[string] {
	c.format = func(s string) string { return quote(maskURL(s)) }
	c.hidden = func(s string) []string {
		u, err := url.Parse(s)
		if err != nil {
			return []string{s}
		}
		password, _ := u.User.Password()
		return []string{u.RawQuery, password} // some receivers expect their key in the query
	}
	return c
}
