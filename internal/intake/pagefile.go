package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"campaignd/internal/safeio"
)

const (
	pageFile     = "campaigns.txt"
	exampleDir   = "examples"
	pageInterval = time.Minute // between two looks at campaigns and configuration
)

// RunPages keeps campaigns.txt and examples/ of every inbox until ctx ends. Neither is touched while
// nothing in it changes.
func (in *Intake) RunPages(ctx context.Context) {
	written := map[string]string{} // fingerprint of each inbox's page
	for {
		c := in.checker()
		for i := range c.Config.Inboxes {
			inbox := &c.Config.Inboxes[i]
			if in.Present(inbox.Path) != nil {
				continue // written when it is back
			}
			page, err := c.Page(ctx, inbox, in.stateDir)
			if err == nil && written[inbox.Path] != fmt.Sprint(*page) {
				if err = writePage(inbox.Path, page); err == nil {
					written[inbox.Path] = fmt.Sprint(*page)
				}
			}
			if err != nil && ctx.Err() == nil && !in.loggedRecently("page "+inbox.Path+err.Error()) {
				in.log.Warn("write campaigns.txt", "inbox", inbox.Path, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pageInterval):
		}
	}
}

// writePage writes what differs from the disk.
func writePage(inbox string, page *Page) error {
	dir := filepath.Join(inbox, exampleDir)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%q is no folder", dir)) // a partner's link must not be followed
	}
	for name, text := range page.Examples {
		if err := writeChanged(filepath.Join(dir, name), text); err != nil {
			return err
		}
	}
	if err := removeOldExamples(dir, page); err != nil {
		return err
	}
	return writeChanged(filepath.Join(inbox, pageFile), []byte(page.Text))
}

// writeChanged writes a file unless it has that content.
func writeChanged(path string, text []byte) error {
	if f, _, err := safeio.OpenRegular(path); err == nil {
		old, err := io.ReadAll(io.LimitReader(f, int64(len(text))+1))
		_ = f.Close() // read only
		if err == nil && bytes.Equal(old, text) {
			return nil
		}
	}
	return safeio.ReplaceFile(path, 0o644, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// removeOldExamples removes the examples of campaigns that can't be sent any more. Other files stay.
func removeOldExamples(dir string, page *Page) error {
	ours := regexp.MustCompile(`^campaign-\d+-of-\d+\.(csv|layout\.json|schedule\.json)$`)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, current := page.Examples[e.Name()]; !current && ours.MatchString(e.Name()) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
