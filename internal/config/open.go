package config

import (
	"errors"
	"fmt"

	"campaignd/internal/send"
)

// Open creates the channel. If secrets can't be read, the error names all of them, also those that
// the driver reads later.
func (ch Channel) Open(env Environment) (send.Channel, error) {
	var missing []error
	for _, s := range ch.Secrets() {
		if _, err := env.Secret(s.Ref); err != nil {
			missing = append(missing, fmt.Errorf("%s: %w", s.Key, err))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	env.Concurrency = ch.Concurrency
	return ch.Settings.Open(env)
}

// SecretReader returns Environment.Secret.
func SecretReader(getenv func(string) string) func(ref string) (string, error) {
	return func(ref string) (string, error) {
		if ref == "" {
			return "", nil
		}
		return ReadSecret(ref, getenv)
	}
}
