// Package tlsfault says why TLS with a server can't be set up, where no attempt can succeed until
// somebody changes something: a certificate, an address, a setting. It is its own package because
// package httppost and the driver smtp share it.
//
// Other failures of a handshake aren't faults here: they may end by themselves.
package tlsfault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"campaignd/internal/display"
)

// maxText limits the part of a text that comes from a certificate, in bytes.
const maxText = 200

// Describe returns what is wrong and what to do, or "" if err isn't such a fault. who names the server, key the configuration key with its host name, and noTLS what to do where it
// doesn't speak TLS.
func Describe(err error, who, key, noTLS string) string {
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		what := display.Line(display.Clip(strings.TrimPrefix(bad.Err.Error(), "x509: "), maxText))
		return "the certificate of " + who + " is not valid: " + what + "; " + remedy(bad.Err, key)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return who + " doesn't speak TLS on this port; " + noTLS
	}
	switch {
	case isAlert(err, "protocol version"):
		return who + " supports no common version of TLS; it must offer TLS 1.2 or newer"
	case CertificateRequired(err):
		return who + " asks for a client certificate, and campaignd has none; have it accept clients without one"
	}
	return ""
}

// remedy says what to do about an invalid certificate.
func remedy(err error, key string) string {
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return "have it renewed, or correct this host's clock"
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "check " + key + ", or have a certificate issued for its host name"
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "have the server send its whole chain, or install its authority on this host"
	}
	return "have it fixed"
}

// CertificateRequired reports whether the server ended the handshake because it got no client certificate
// (RFC 8446, 6.2). In TLS 1.3 that answer comes after the first data was written, but before the server
// has read any of it.
func CertificateRequired(err error) bool { return isAlert(err, "certificate required") }

// isAlert reports whether err is an error of TLS with those words. Alerts have no type of their own.
func isAlert(err error, words string) bool {
	_, text, ok := strings.Cut(err.Error(), "tls: ")
	return ok && strings.Contains(text, words)
}
