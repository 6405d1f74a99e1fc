package config

import (
	"io"

	"campaignd/internal/campaign"
)

// Load reads the file at path. See Parse.
func Load(path string) (*Config, campaign.Problems) { panic("being built") }

// Parse reads data, the content of file. Config is nil if there is any problem.
func Parse(file string, data []byte) (*Config, campaign.Problems) { panic("being built") }

// Find says which file holds the configuration.
func Find(flag string, getenv func(string) string) (path string, err error) { panic("being built") }

// Show writes the effective values as TOML that Parse reads back; secrets are masked.
func (c *Config) Show(w io.Writer) error { panic("being built") }

// ReadSecret reads a secret from the file at ref, from "env:NAME" or from "credential:NAME".
func ReadSecret(ref string, getenv func(string) string) (string, error) { panic("being built") }
