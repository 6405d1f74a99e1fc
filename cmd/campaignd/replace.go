package main

import (
	"fmt"
	"io"
	"os"

	"campaignd/internal/safeio"
)

// replace atomically rewrites a configuration and keeps its permissions.
func replace(path string, text []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("replace configuration: %w", err)
	}
	return safeio.WriteFile(path, info.Mode().Perm(), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}
