package config

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Show writes the effective values, defaults included, as TOML that Parse reads
// back to the same Config. Keys without a value are left out. Passwords in URLs
// and the values of headers that look like credentials are masked.
func (c *Config) Show(w io.Writer) error {
	s := shower{keys: Keys(c.drivers)}
	s.scope(ScopeTop, c)
	s.header("[log]")
	s.scope(ScopeLog, c)
	if c.NATS != nil {
		s.header("[nats]")
		s.scope(ScopeNATS, c.NATS)
	}
	if c.Standby != nil {
		s.header("[standby]")
		s.scope(ScopeStandby, c.Standby)
	}
	for i := range c.Inboxes {
		s.header("[[inboxes]]")
		s.scope(ScopeInbox, &c.Inboxes[i])
	}
	for i := range c.Applications {
		a := &c.Applications[i]
		s.header("[[applications]]")
		s.scope(ScopeApplication, a)
		s.header("[applications.slicing]")
		s.scope(ScopeSlicing, a)
		for _, name := range slices.Sorted(maps.Keys(a.Channels)) {
			ch := a.Channels[name]
			s.header("[applications.channels." + name + "]")
			s.table(channelFields(c.drivers, &ch))
		}
	}
	if _, err := io.WriteString(w, s.b.String()); err != nil {
		return fmt.Errorf("show configuration: %w", err)
	}
	return nil
}

// Values returns the effective values as Show writes them, by table and key.
func (c *Config) Values() (map[string]any, error) {
	var b bytes.Buffer
	if err := c.Show(&b); err != nil {
		return nil, err
	}
	var all map[string]any
	if err := toml.Unmarshal(b.Bytes(), &all); err != nil {
		return nil, fmt.Errorf("show configuration: %w", err)
	}
	return all, nil
}

type shower struct {
	keys []Key
	b    strings.Builder
}

func (s *shower) header(h string) { fmt.Fprintf(&s.b, "\n%s\n", h) }

func (s *shower) scope(scope Scope, target any) { s.table(fieldsOf(s.keys, scope, target)) }

func (s *shower) table(fields []field) {
	for _, f := range fields {
		toml, absent := f.key.bind.show(f.target)
		if absent && f.key.Default == "" {
			continue
		}
		fmt.Fprintf(&s.b, "%s = %s\n", f.key.Name, toml)
	}
}
