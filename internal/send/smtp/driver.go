package smtp

import (
	"errors"
	"net"
	"net/mail"
	"strings"
	"time"

	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/send"
)

// Settings are the values of the driver's keys.
type Settings struct {
	Options
	PasswordFile string // refers to Options.Password
	Signature    DKIM
	DKIMKeyFile  string // refers to Signature.Key; "": unsigned
}

// Driver describes the driver.
func Driver() config.Driver {
	return config.Driver{
		Name: "smtp", Meaning: "Sends email through a mail server",
		OnUnknown: send.HoldUnknown, Contacts: []contact.Kind{contact.Email}, Traced: true,
		Settings: func() config.Settings { return new(Settings) },
		Together: [][]string{{"username", "password_file"}, {"dkim_domain", "dkim_selector", "dkim_key_file"}},
		Keys:     keys(),
	}
}

func keys() []config.Key {
	return []config.Key{
		config.DriverKey("host", config.Text("host name or IP address", hostName), func(s *Settings) *string { return &s.Host },
			"The mail server").Mandatory(),
		config.DriverKey("port", config.Integer[int](1, 65535), func(s *Settings) *int { return &s.Port },
			"Its port; with tls = \"tls\" usually 465").Or(`587`),
		config.DriverKey("tls", config.OneOf(StartTLS, TLS, NoTLS), func(s *Settings) *string { return &s.TLS },
			"How the connection is secured: by STARTTLS, from its first byte, or not at all").Or(`"starttls"`),
		config.DriverKey("username", config.Text("", nil), func(s *Settings) *string { return &s.Username },
			"The account that logs in; without it there is no login"),
		config.DriverKey("password_file", config.SecretFile(), func(s *Settings) *string { return &s.PasswordFile },
			"The password of username"),
		config.DriverKey("from", config.Text("mail address", mailAddress), func(s *Settings) *string { return &s.From },
			"The sender, as \"shop@example.com\" or \"Shop <shop@example.com>\"").Mandatory(),
		config.DriverKey("reply_to", config.Text("mail address", mailAddress), func(s *Settings) *string { return &s.ReplyTo },
			"Where replies go; from if unset"),
		config.DriverKey("list_unsubscribe", config.Text("mailto: or https:", unsubscribe), func(s *Settings) *string { return &s.ListUnsubscribe },
			"The address of the List-Unsubscribe header (RFC 2369); {{key}} and {{contact}} in it stand for the message's key and the address it goes to"),
		config.DriverKey("dkim_domain", config.Text("domain", dkimDomain), func(s *Settings) *string { return &s.Signature.Domain },
			"The domain that messages are signed for (DKIM); without it they are not signed here"),
		config.DriverKey("dkim_selector", config.Text("name", selector), func(s *Settings) *string { return &s.Signature.Selector },
			"The selector under which the domain publishes the key"),
		config.DriverKey("dkim_key_file", config.SecretFile(), func(s *Settings) *string { return &s.DKIMKeyFile },
			"The private key in PEM, RSA or Ed25519"),
		config.DriverKey("timeout", config.Length(100*time.Millisecond, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Timeout },
			"How long one attempt may take").Or(`"30s"`),
	}
}

// Check implements config.Checker.
func (s *Settings) Check() (string, error) {
	if s.Username != "" && s.TLS == NoTLS && !isLoopback(s.Host) {
		return "tls", errors.New(`is "none" and would send the password in the clear: write "starttls" or "tls"`)
	}
	return "", nil
}

// Open implements config.Settings.
func (s *Settings) Open(env config.Environment) (send.Channel, error) {
	o := s.Options
	o.Concurrency, o.Tracer = env.Concurrency, env.Tracer
	var err error
	if o.Password, err = env.Secret(s.PasswordFile); err != nil {
		return nil, err
	}
	if s.DKIMKeyFile != "" {
		key, err := env.Secret(s.DKIMKeyFile)
		if err != nil {
			return nil, err
		}
		dkim := s.Signature
		dkim.Key, o.DKIM = []byte(key), &dkim
	}
	return New(o)
}

func hostName(s string) error {
	if net.ParseIP(s) == nil && (s == "" || len(s) > 253 || strings.ContainsAny(s, " \t\r\n/:@[]\"'\\\x00")) {
		return config.Found(s, "a host name without a port")
	}
	return nil
}

func mailAddress(s string) error {
	if _, err := mail.ParseAddress(s); err != nil || strings.ContainsAny(s, "\r\n") {
		return config.Found(s, "a mail address")
	}
	return nil
}

func unsubscribe(s string) error {
	_, _, err := readUnsubscribe(s)
	return err
}

// dkimDomain checks a domain that messages are signed for.
func dkimDomain(s string) error {
	if checkDomain([]byte(s)) != nil || !ascii(s) {
		return config.Found(s, "a domain such as example.com")
	}
	return nil
}

// selector checks a DKIM selector: labels of a host name (RFC 6376, 3.1). Unlike a domain, it may end with a number.
func selector(s string) error {
	if dkimDomain(s+".x.x") != nil {
		return config.Found(s, `a name such as "mail2026"`)
	}
	return nil
}

// isLoopback reports whether a connection to host stays on this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
