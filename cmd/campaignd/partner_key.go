package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
)

// publicKey is one line of an authorized_keys file.
type publicKey struct{ kind, fingerprint string }

// readPublicKeys reads a file of public keys in OpenSSH's form. The error says how to convert others.
func readPublicKeys(path string) ([]publicKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	switch {
	case bytes.Contains(text, []byte("BEGIN SSH2 PUBLIC KEY")):
		return nil, fmt.Errorf("%s is a key as PuTTYgen saves it: convert it with: ssh-keygen -i -f %s > key.pub", path, shellLine([]string{path}))
	case bytes.HasPrefix(text, []byte("PuTTY-User-Key-File")):
		return nil, fmt.Errorf("%s is PuTTY's private key, which the partner should keep: ask for the public one (PuTTYgen shows it under \"Public key for pasting into OpenSSH authorized_keys file\")", path)
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("%s is a private key, which the partner should keep: ask for the file that ends in .pub", path)
	}
	var keys []publicKey
	for i, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := parsePublicKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	return keys, nil
}

// parsePublicKey parses "TYPE BASE64 COMMENT". Options before the type are refused: the partner may
// have written them.
func parsePublicKey(line string) (publicKey, error) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return publicKey{}, errors.New("isn't a public key: want a line like \"ssh-ed25519 AAAA... name\"")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	// The blob repeats the type after its length in 4 bytes.
	if err != nil || len(blob) < 4+len(fields[0]) || string(blob[4:4+len(fields[0])]) != fields[0] || blob[3] != byte(len(fields[0])) {
		return publicKey{}, errors.New("isn't a public key: want a line like \"ssh-ed25519 AAAA... name\", in one line and without options before it")
	}
	sum := sha256.Sum256(blob)
	return publicKey{fields[0], "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])}, nil
}
