package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"campaignd/internal/campaign"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is the most bytes a configuration may have.
const maxFile = 1 << 20

// EnvFile is the environment variable that names the configuration.
const EnvFile = "CAMPAIGND_CONFIG"

// Places lists the paths at which Find looks when nothing names the configuration.
func Places() []string { return []string{"configs/campaignd.toml", "/etc/campaignd/campaignd.toml"} }

// Find returns the path of the configuration: flag if it is set (--config), else
// CAMPAIGND_CONFIG, else the first of Places that exists. A named file is returned
// even if it doesn't exist: Load reports it by name.
func Find(flag string, getenv func(string) string) (path string, err error) {
	if flag != "" {
		return flag, nil
	}
	if env := getenv(EnvFile); env != "" {
		return env, nil
	}
	for _, place := range Places() {
		if _, err := os.Stat(place); !errors.Is(err, fs.ErrNotExist) {
			return place, nil // it exists, readable or not: never skip it silently
		}
	}
	return "", fmt.Errorf("find configuration: neither %s nor %s exists: name one with --config or %s",
		Places()[0], Places()[1], EnvFile)
}

// Load reads the file at path. See Parse.
func Load(path string, drivers []Driver) (*Config, campaign.Problems) {
	var p campaign.Problems
	f, err := os.Open(path)
	if err != nil {
		p.Addf(path, 0, 0, "", "can't be read: %v", withoutPath(err))
		return nil, p
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		p.Addf(path, 0, 0, "", "can't be read: %v", withoutPath(err))
		return nil, p
	}
	return Parse(path, data, drivers)
}

// Parse reads data, the content of file, and returns all its problems at once, in
// the order of their positions, each with line, column and dotted key. The Config
// is nil if there is any problem. drivers are those that a channel may name, in the order in
// which they are documented.
func Parse(file string, data []byte, drivers []Driver) (*Config, campaign.Problems) {
	if len(data) > maxFile {
		var p campaign.Problems
		p.Addf(file, 0, 0, "", "has more than the %d bytes that a configuration may have", maxFile)
		return nil, p
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := &reader{drivers: drivers, keys: Keys(drivers)}
	root, whole := tree(data, func(at int, field, message string) { r.addFault(at, field, "%s", message) })
	r.complete = whole
	c := r.config(root)
	if p := r.found.Problems(file, data); p.Count > 0 {
		return nil, p
	}
	// The tree is built from the library's low-level parser; its own reader is stricter.
	if err := toml.Unmarshal(data, &map[string]any{}); err != nil {
		var p campaign.Problems
		one := campaign.Problem{File: file, Message: "is no TOML: " + err.Error()}
		var at *toml.DecodeError
		if errors.As(err, &at) {
			one.Line, one.Column = at.Position()
		}
		p.Add(one)
		return nil, p
	}
	c.File, c.drivers = file, drivers
	return c, campaign.Problems{}
}

// Drivers returns the drivers that a channel may name.
func (c *Config) Drivers() []Driver { return c.drivers }

// Reload reads the configuration's file again.
func (c *Config) Reload() (*Config, campaign.Problems) { return Load(c.File, c.drivers) }
