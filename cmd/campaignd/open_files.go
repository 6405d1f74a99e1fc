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
	parts, err := check.OpenFiles(paths, openNamed)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	return parts, nil
}

// openNamed opens a file that the command line names.
func openNamed(path string) (*os.File, error) {
	if err := isFile(path); err != nil { // opening a FIFO would block
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("you may not read %s", path)
	}
	return f, err
}

// isFile returns an error unless the command line's path names a regular file.
func isFile(path string) error {
	stat, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s%s", path, nearFile(path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("you may not read %s", path)
	case err != nil:
		return fmt.Errorf("open %q: %w", path, err)
	case stat.IsDir():
		return fmt.Errorf("%s is a folder: name the files in it", path)
	case !stat.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
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
