package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSecret is the most bytes a secret may have.
const maxSecret = 64 << 10

// ErrNoSecret is returned when a secret exists and is empty.
var ErrNoSecret = errors.New("it is empty")

// ReadSecret reads the secret that a key like token_file refers to: "env:NAME" is an
// environment variable, "credential:NAME" a file of systemd's credentials
// ($CREDENTIALS_DIRECTORY), anything else the path of a file. One trailing
// line end is removed. The error names ref, never the secret. Every call reads again,
// so a changed secret takes effect at the next SIGHUP. Links are followed, since
// secrets are mounted and swapped with them.
func ReadSecret(ref string, getenv func(string) string) (string, error) {
	name, isEnv := strings.CutPrefix(ref, "env:")
	if isEnv {
		value := trimLineEnd(getenv(name))
		if value == "" {
			return "", fmt.Errorf("read secret from environment variable %q: %w", name, ErrNoSecret)
		}
		return value, nil
	}
	file := ref
	if name, ok := strings.CutPrefix(ref, "credential:"); ok {
		dir := getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", fmt.Errorf("read secret from credential %q: CREDENTIALS_DIRECTORY is not set: the unit needs LoadCredential=%s:PATH", name, name)
		}
		file = filepath.Join(dir, name)
	}
	value, err := readSecretFile(file)
	if err != nil {
		return "", fmt.Errorf("read secret from file %q: %w", file, err)
	}
	return value, nil
}

func readSecretFile(file string) (string, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not block for ever
	if err != nil {
		return "", withoutPath(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", withoutPath(err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", withoutPath(err)
	}
	if len(data) > maxSecret {
		return "", fmt.Errorf("it has more than %d bytes", maxSecret)
	}
	value := trimLineEnd(string(data))
	if value == "" {
		return "", ErrNoSecret
	}
	return value, nil
}

// withoutPath returns err without its path, which the caller adds itself.
func withoutPath(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func trimLineEnd(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// SecretFile is the codec of a reference to a secret, for ReadSecret.
func SecretFile() Codec[string] {
	c := Text("", secretRef)
	c.secret = true
	return c
}

// secretRef checks the form of a reference for ReadSecret, not that the secret exists.
func secretRef(s string) error {
	if err := notEmpty(s); err != nil {
		return errors.New(`is empty; write a path, "env:NAME" or "credential:NAME"`)
	}
	if name, ok := strings.CutPrefix(s, "env:"); ok && (name == "" || strings.ContainsAny(name, "= \t\r\n\x00")) {
		return fmt.Errorf("found %q where \"env:NAME\" needs the name of a variable", clip(s))
	}
	if name, ok := strings.CutPrefix(s, "credential:"); ok && (name == "" || name == "." || name == ".." || strings.Contains(name, "/")) {
		return fmt.Errorf("found %q where \"credential:NAME\" needs the name of a credential", clip(s))
	}
	return nil
}
