package partnerpage

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
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/rarelog"
	"campaignd/internal/safeio"
)

const (
	pageFile     = "campaigns.txt"
	exampleDir   = "examples"
	pageInterval = time.Minute // between two looks at campaigns and configuration
	pageCheck    = time.Hour   // a page is checked again without a change, since an account's templates change too
)

// Keeper keeps the page of every inbox.
type Keeper struct {
	Checker func() *check.Checker    // returns the one in force
	Present func(inbox string) error // returns why a folder isn't the inbox now, nil if it is
	Dir     string                   // folder for temporary files
	Log     *rarelog.Log
}

// Run keeps campaigns.txt and examples/ of every inbox until ctx ends. Neither is touched while
// nothing in it changes.
func (k *Keeper) Run(ctx context.Context) {
	written := map[string]pageSource{} // by inbox
	for {
		c := k.Checker()
		campaigns, _, err := c.Campaigns.All()
		for i := range c.Config.Inboxes {
			inbox := &c.Config.Inboxes[i]
			last := written[inbox.Path]
			if err == nil && last.checker == c && slices.Equal(last.campaigns, campaigns) && time.Since(last.at) < pageCheck {
				continue
			}
			if k.Present(inbox.Path) != nil {
				continue // written when it is back
			}
			if page, err := New(ctx, c, inbox, k.Dir); err != nil {
				k.logFault(ctx, inbox.Path, err)
			} else if err := writePage(inbox.Path, page); err != nil {
				k.logFault(ctx, inbox.Path, err)
			} else {
				written[inbox.Path] = pageSource{c, campaigns, time.Now()}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pageInterval):
		}
	}
}

// pageSource holds the configuration and the campaigns that a page shows. Both are replaced, not
// changed, when their files change.
type pageSource struct {
	checker   *check.Checker
	campaigns []*campaign.Campaign
	at        time.Time // of the last write
}

func (k *Keeper) logFault(ctx context.Context, inbox string, err error) {
	if ctx.Err() == nil && !k.Log.Recently("page "+inbox+err.Error()) {
		k.Log.Warn("write campaigns.txt", "inbox", inbox, "err", err)
	}
}

// writePage writes what differs from the disk.
func writePage(inbox string, page *Page) error {
	dir := filepath.Join(inbox, exampleDir)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder: %w", err)
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return errors.Join(err, fmt.Errorf("%q is not a folder", dir)) // a partner's link must not be followed
	}
	if err := safeio.RemoveTemps(dir); err != nil { // of a write that was killed
		return err
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
