package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/emersion/go-msgauth/dkim"
)

// minRSABits is the shortest RSA key that verifiers accept (RFC 8301, 3.2).
const minRSABits = 1024

// signer signs emails (RFC 6376).
type signer struct{ options dkim.SignOptions }

// newSigner reads the key. The error never contains any of it.
func newSigner(d DKIM) (*signer, error) {
	key, err := readKey(d.Key)
	if err != nil {
		return nil, fmt.Errorf("read dkim_key_file: %w", err)
	}
	return &signer{dkim.SignOptions{
		Domain: d.Domain, Selector: d.Selector, Signer: key, HeaderKeys: signedHeaders(),
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}}, nil
}

// signedHeaders returns the headers that a signature covers. Headers that must be unique are
// listed once more than they occur, so that none can be added (RFC 6376, 8.15). One-click
// requires its two headers to be signed (RFC 8058, 4).
func signedHeaders() []string {
	return []string{"From", "From", "To", "To", "Subject", "Subject", "Date", "Date", "Message-ID", "Message-ID", "Reply-To", "Reply-To",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Unsubscribe-Post"}
}

func readKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New(`it isn't a PEM file; one begins with "-----BEGIN PRIVATE KEY-----"`)
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("it contains a %q; an unencrypted RSA or Ed25519 private key is required", block.Type)
	}
	if err != nil {
		return nil, errors.New("the key in it can't be read")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("the RSA key in it has %d bits; receivers require %d, better 2048", key.N.BitLen(), minRSABits)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("the key in it is neither RSA nor Ed25519")
}

// sign returns data with its signature in front.
func (s *signer) sign(data []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(data) + 1024)
	options := s.options
	if err := dkim.Sign(&out, bytes.NewReader(data), &options); err != nil {
		return nil, fmt.Errorf("sign message: %w", err)
	}
	return out.Bytes(), nil
}
