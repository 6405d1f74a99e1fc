package smtp

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"campaignd/internal/send"
)

func pemOf(t testing.TB, kind string, key any) []byte {
	t.Helper()
	var der []byte
	if own, ok := key.(*rsa.PrivateKey); ok && kind == "RSA PRIVATE KEY" {
		der = x509.MarshalPKCS1PrivateKey(own)
	} else {
		var err error
		if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
			t.Fatal(err)
		}
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// TestDKIM: the public key verifies what the server got, until a header is changed or added.
func TestDKIM(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPublic, err := x509.MarshalPKIXPublicKey(rsaKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key    []byte
		record string
	}{
		"RSA, PKCS 1": {pemOf(t, "RSA PRIVATE KEY", rsaKey), "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic)},
		"RSA, PKCS 8": {pemOf(t, "PRIVATE KEY", rsaKey), "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(rsaPublic)},
		"Ed25519":     {pemOf(t, "PRIVATE KEY", edKey), "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(edPublic)},
	} {
		t.Run(name, func(t *testing.T) {
			box := newTestServer(t, nil)
			o := options(box.port)
			o.DKIM = &DKIM{Domain: "example.com", Selector: "2026", Key: c.key}
			o.ListUnsubscribe = "https://shop.example.com/u?{{key}}"
			if res := try(t, channel(t, o), message(t, content{Subject: "¿Qué tal?", Text: "Hola\n.\nAna ", HTML: "<p>Hola  Ana"})); res.Verdict != send.VerdictSent {
				t.Fatalf("%+v", res)
			}
			data := box.all()[0].data
			verify := func(data string) error {
				found, err := dkim.VerifyWithOptions(strings.NewReader(data), &dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
					if name != "2026._domainkey.example.com" {
						t.Errorf("asked for %s", name)
					}
					return []string{c.record}, nil
				}})
				if err != nil || len(found) != 1 {
					t.Fatalf("verify: %v, %d signatures", err, len(found))
				}
				switch keys := strings.Join(found[0].HeaderKeys, ","); {
				case !strings.Contains(keys, "List-Unsubscribe-Post"):
					t.Errorf("keys = %q, want \"List-Unsubscribe-Post\" in it", keys)
				case found[0].Domain != "example.com":
					t.Errorf("found[0].Domain = %q, want \"example.com\"", found[0].Domain)
				}
				return found[0].Err
			}
			if err := verify(data); err != nil {
				t.Errorf("verify: %v in\n%s", err, data)
			}
			for what, changed := range map[string]string{
				"another subject": strings.Replace(data, "Subject: ", "Subject: x", 1), "a second From": strings.Replace(data, "\r\nFrom: ", "\r\nFrom: eve@evil.example\r\nFrom: ", 1),
				"another text": strings.Replace(data, "Hola", "Adios", 1), "a second one-click": strings.Replace(data, "\r\nList-Unsubscribe: ", "\r\nList-Unsubscribe: <https://evil.example>\r\nList-Unsubscribe: ", 1),
			} {
				if verify(changed) == nil {
					t.Errorf("%s: still verified", what)
				}
			}
		})
	}
}

func TestReadKeyRefuses(t *testing.T) {
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(curve.Public())
	if err != nil {
		t.Fatal(err)
	}
	for says, text := range map[string][]byte{
		"isn't a PEM":    []byte("hunter2"),
		"neither RSA":    pemOf(t, "PRIVATE KEY", curve),
		`a "PUBLIC KEY"`: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
		"can't be read":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("hunter2")}),
		"can't be":       pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte("hunter2")}),
	} {
		if _, err := readKey(text); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v; want %q", err, says)
		}
	}
}

// A key that can't sign holds the channel and names its configuration key.
func TestKeyCantSign(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o := options(25)
	o.DKIM = &DKIM{Domain: "example.com", Selector: "s", Key: pemOf(t, "PRIVATE KEY", key)}
	c := channel(t, o)
	c.composer.signer.options.Signer = nil
	switch res := try(t, c, hello(t)); {
	case res.Verdict != send.VerdictHold:
		t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictHold)
	case !strings.Contains(res.Detail, "dkim_key_file"):
		t.Errorf("res.Detail = %q, want \"dkim_key_file\" in it", res.Detail)
	}
	if _, err := c.composer.signer.sign(nil); errors.Unwrap(err) == nil {
		t.Errorf("sign: %v", err)
	}
}
