// Package folders knows the folders of an inbox: whether the folder at an inbox's path is the inbox,
// and where the files of a sending are. It is a room of its own because intake, which takes drops in,
// the folder keeper, which files them, and the daemon's operations all ask it before they touch a
// folder.
//
// It makes accepted/, done/ and failed/ and gives an inbox its id. It reads and moves no file of a
// drop.
package folders

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/safeio"
	"campaignd/internal/store"
)

// The folders that campaignd makes inside an inbox (docs/contract.md 2).
const (
	Accepted = "accepted"
	Done     = "done"
	Failed   = "failed"
)

// Names of what is filed without a folder of its own: control files and lists of opt-outs.
const (
	StampLayout  = "20060102T150405Z" // layout of the time that is appended to a name that is taken
	ReportEnding = ".report.txt"      // of the answer, after the name of the file
)

// makeFolders makes accepted/, done/ and failed/ inside an existing inbox.
func makeFolders(inbox *os.Root) error {
	made := false
	for _, name := range []string{Accepted, Done, Failed} {
		err := inbox.Mkdir(name, 0o755)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make folder: %w", err)
		}
		made = made || err == nil
	}
	if !made {
		return nil
	}
	return safeio.SyncDir(inbox.Name())
}

// Of returns where the sending's files are while it is checked, scheduled or sending.
func Of(s *campaign.Sending) string {
	return filepath.Join(s.Inbox, Accepted, s.FolderName())
}

// Final returns where its files go when it has ended (docs/contract.md 2, where it goes).
func Final(s *campaign.Sending) string {
	name := Failed
	if s.State == campaign.StateCompleted {
		name = Done
	}
	return filepath.Join(s.Inbox, name, s.FolderName())
}

// Now returns where a sending's files are by its record.
func Now(s *campaign.Sending) string {
	if s.Filed {
		return Final(s)
	}
	return Of(s)
}

// Store keeps the ids of the inboxes, and the sendings whose drops were taken from them. *store.Store implements it.
type Store interface {
	InboxID(path string) (string, error)
	SetInboxID(path, id string) error
	Sendings(store.Filter) ([]*campaign.Sending, error)
}

// Inboxes are the inboxes of the configuration. Its methods are safe for concurrent use.
type Inboxes struct {
	store  Store
	config func() *config.Config
	log    *slog.Logger
	onOpen func(inbox string) error // see OnOpen

	mu   sync.Mutex      // guards away, and serializes Open
	away map[string]bool // inboxes that were logged as away
}

// New returns the inboxes of the configuration that config returns, whose ids are in the store.
func New(st Store, config func() *config.Config, log *slog.Logger) *Inboxes {
	return &Inboxes{store: st, config: config, log: log, away: map[string]bool{}}
}

// OnOpen makes Open call a function whenever an inbox is there. It is called before any other method.
func (b *Inboxes) OnOpen(do func(inbox string) error) { b.onOpen = do }

// Prepare makes an inbox's folders and finds out whether a drop can be claimed by a rename or has
// to be copied: a rename fails between two mounts, even of one file system. The error is meant for
// the operator.
func (b *Inboxes) Prepare(inbox string) error {
	if err := b.Ensure(inbox); err != nil {
		return err
	}
	probe, err := os.CreateTemp(inbox, ".campaignd-probe-*.tmp") // a name that Recover removes
	if err != nil {
		return fmt.Errorf("write into inbox: %w", err)
	}
	defer os.Remove(probe.Name())
	if err := probe.Close(); err != nil {
		return fmt.Errorf("write into inbox: %w", err)
	}
	target := filepath.Join(inbox, Accepted, filepath.Base(probe.Name()))
	err = os.Rename(probe.Name(), target)
	if errors.Is(err, unix.EXDEV) {
		return errors.New("accepted/ is another mount than the inbox: every drop is copied instead of renamed; mount them as one")
	}
	if err != nil {
		return fmt.Errorf("rename into accepted/: %w", err)
	}
	return os.Remove(target)
}
