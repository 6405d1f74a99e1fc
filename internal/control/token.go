package control

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"campaignd/internal/api"
	"campaignd/internal/config"
	"campaignd/internal/safeio"
)

// minToken is the shortest token, in characters, that can't be guessed.
const minToken = 16

// token reads the token at every use, so that a changed one is in force immediately.
func (s *Server) token() (string, error) {
	token, err := config.ReadSecret(cmp.Or(s.opts.TokenFile, s.opts.StateToken), s.opts.Getenv)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	if token = strings.TrimSpace(token); len(token) < minToken {
		return "", fmt.Errorf("read token: a token needs %d characters or more; `openssl rand -hex 32` makes one", minToken)
	}
	return token, nil
}

// currentToken returns the token for a request. The log has the reason of an error.
func (s *Server) currentToken() (string, error) {
	token, err := s.token()
	if err != nil {
		s.log.Error("read token", "err", err)
		return "", api.Unavailablef("the daemon can't read its token; see its log")
	}
	return token, nil
}

// prepareToken makes sure that there is a usable token. An address that other
// machines can reach needs a configured one.
func (s *Server) prepareToken() error {
	if s.opts.TokenFile == "" {
		if !s.loopback {
			return fmt.Errorf("listen on %q: other machines can reach this address: set token_file, or listen on 127.0.0.1", s.opts.Listen)
		}
		if err := s.createToken(); err != nil {
			return err
		}
	}
	_, err := s.token()
	return err
}

// createToken creates the token in the state folder unless it exists. Only the
// daemon's user and the socket's group can read it (docs/contract.md 10).
func (s *Server) createToken() error {
	path := s.opts.StateToken
	if _, err := os.Lstat(path); err == nil {
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("create token: %w", err)
	}
	// The mode without the group's right comes first: the file's group may be another.
	err := safeio.WriteFile(path, 0o600, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, strings.ToLower(rand.Text()+rand.Text()))
		return err
	})
	if err != nil {
		return fmt.Errorf("create token: %w", err)
	}
	if err := setGroup(path, s.opts.Group); err != nil {
		return errors.Join(fmt.Errorf("create token: %w", err), os.Remove(path))
	}
	if err := os.Chmod(path, 0o640); err != nil {
		return fmt.Errorf("create token: %w", err)
	}
	s.log.Info("created the token of HTTP", "file", path)
	return nil
}
