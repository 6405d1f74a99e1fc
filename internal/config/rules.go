package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // the zones must be there on a machine that has none

	"campaignd/internal/contact"
	"campaignd/internal/receipts"
	"campaignd/internal/source"
)

func notEmpty(s string) error {
	switch {
	case s == "":
		return errors.New("is empty")
	case strings.ContainsRune(s, 0):
		return errors.New("holds a NUL character")
	}
	return nil
}

// address checks host:port, :port or "".
func address(s string) error {
	if s == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		if n, e := strconv.ParseUint(port, 10, 16); e == nil && n > 0 {
			return nil
		}
	}
	return fmt.Errorf("found %q where host:port with a port up to 65535 is wanted, such as \"127.0.0.1:8025\", or \"\" for none", clip(s))
}

// natsURL checks the address of a NATS server.
func natsURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return errors.New(`is no address of a NATS server such as "tls://nats1.example:4222"`) // it may hold a password
	case u.User != nil:
		return errors.New("holds a user: put it into credentials_file")
	}
	return nil
}

// natsMonitor checks an address of a NATS server's HTTP monitoring.
func natsMonitor(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New(`is no address of a NATS server's monitoring such as "http://nats1.example:8222"`)
	}
	return nil
}

// clusterName checks the name in [nats]; it is part of the names of streams and subjects.
func clusterName(s string) error {
	if !channelName(s) || len(s) > 32 {
		return fmt.Errorf("found %q; 1 to 32 letters, digits, _ and - can name a cluster", clip(s))
	}
	return nil
}

// network checks an address or a network.
func network(s string) error {
	if _, err := netip.ParseAddr(s); err == nil {
		return nil
	}
	if _, err := netip.ParsePrefix(s); err != nil {
		return fmt.Errorf("found %q where an address or a network is wanted, such as \"10.0.0.0/8\"", clip(s))
	}
	return nil
}

// isLoopback reports whether only this machine can reach host, or host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func stopWord(s string) error {
	if receipts.BareWords(s) == "" {
		return Found(s, "a word")
	}
	return nil
}

func zone(s string) error {
	if s == "" {
		return nil
	}
	if s != "Local" { // the machine's zone: the same file would give other times on another machine
		if _, err := time.LoadLocation(s); err == nil {
			return nil
		}
	}
	return fmt.Errorf("found %q where the IANA name of a time zone is wanted, such as \"Europe/Madrid\" or \"UTC\"", clip(s))
}

func country(s string) error {
	if s == "" {
		return nil
	}
	if _, err := contact.New(contact.Phone, s, false); err != nil {
		return fmt.Errorf("found %q where a country's ISO 3166-1 code of two letters is wanted, such as \"ES\"%s",
			clip(s), source.DidYouMean(strings.ToUpper(s), contact.Countries()))
	}
	return nil
}

// contactKinds returns the names of the kinds of contacts.
func contactKinds() []string {
	var names []string
	for _, kind := range contact.Kinds() {
		names = append(names, kind.String())
	}
	return names
}

func pattern(s string) error {
	if _, err := path.Match(s, ""); err != nil || s == "" || strings.Contains(s, "/") {
		return fmt.Errorf("found %q where a pattern of file names is wanted, such as \"*.bak\"", clip(s))
	}
	return nil
}

func webURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Opaque != "" {
		// Don't repeat the URL: it may hold a password.
		return errors.New(`is no absolute URL such as "https://receiver.example/messages"`)
	}
	if u.Fragment != "" {
		return errors.New("has a part after #, which is never sent")
	}
	return nil
}

// secureURL refuses a URL that would send a token in the clear.
func secureURL(s string) error {
	if err := webURL(s); err != nil {
		return err
	}
	if u, _ := url.Parse(s); u.Scheme != "https" && !isLoopback(u.Hostname()) {
		return errors.New("is http and would send the token in the clear: write https")
	}
	return nil
}

// headerName reports whether s can be the name of an HTTP header (RFC 9110, 5.6.2).
func headerName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)) {
			return false
		}
	}
	return s != ""
}

// channelName reports whether s can name a channel: it is written into CSV
// cells, metrics and file names.
func channelName(s string) bool {
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
