package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"campaignd/internal/check"
	"campaignd/internal/source"
)

// openDrop opens the files of one drop. Its error is about the command line and says in plain
// words what is wrong with a file.
func openDrop(paths []string) (*check.Parts, error) {
	for _, path := range paths {
		f, err := openNamed(path)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		_ = f.Close() // read only
	}
	parts, err := check.OpenFiles(paths)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return parts, nil
}

// openNamed opens a file that the command line names.
func openNamed(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s%s", path, nearFile(path))
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("you may not read %s", path)
	case err != nil:
		return nil, fmt.Errorf("open %q: %w", path, err)
	case stat.IsDir():
		return nil, fmt.Errorf("%s is a folder: name the files in it", path)
	case !stat.Mode().IsRegular(): // opening a FIFO would block
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("you may not read %s", path)
	}
	return f, err
}

// nearFile names the folder's file that was probably meant, or says that there is no such folder.
func nearFile(path string) string {
	dir := filepath.Dir(path)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Sprintf(": there is no folder %s", dir)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	near := source.Nearest(filepath.Base(path), names)
	if near == "" {
		return ""
	}
	if dir != "." {
		near = filepath.Join(dir, near)
	}
	return fmt.Sprintf("; did you mean %s?", near)
}
