package intake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/failpoint"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
)

// statusEvery is how often status.json is replaced while a sending sends (SPEC 9).
const statusEvery = 5 * time.Second

// clerk keeps the folders in step with the store: status.json at every change,
// and, when a sending has ended, its reports and the one rename into done/ or failed/.
type clerk struct {
	in      *Intake
	mu      sync.Mutex // guards changed
	changed map[campaign.ID]bool
	signal  chan struct{}
	sending map[campaign.ID]bool // owned by run: whose status.json is refreshed
}

func newClerk(in *Intake) *clerk {
	return &clerk{in: in, changed: map[campaign.ID]bool{}, signal: make(chan struct{}, 1), sending: map[campaign.ID]bool{}}
}

// notice asks for a look at a sending's folder. It returns at once.
func (c *clerk) notice(id campaign.ID) {
	c.mu.Lock()
	c.changed[id] = true
	c.mu.Unlock()
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// run looks after the folders until ctx ends.
func (c *clerk) run(ctx context.Context) error {
	var tick <-chan time.Time
	var timer *time.Timer
	defer func() {
		if timer != nil {
			timer.Stop()
		}
	}()
	for {
		select {
		case <-ctx.Done():
			c.lookAll()
			return nil
		case <-c.signal:
			c.lookAll()
		case <-tick:
			for id := range c.sending {
				c.look(id)
			}
			tick = nil
		}
		if tick == nil && len(c.sending) > 0 {
			timer = time.NewTimer(statusEvery)
			tick = timer.C
		}
	}
}

func (c *clerk) lookAll() {
	c.mu.Lock()
	ids := c.changed
	c.changed = map[campaign.ID]bool{}
	c.mu.Unlock()
	for id := range ids {
		c.look(id)
	}
}

// look brings one folder up to date. What fails is logged and tried again at the next tick.
func (c *clerk) look(id campaign.ID) {
	s, err := c.in.store.Header(id)
	if err != nil {
		c.in.log.Error("read sending", "sending", id, "err", err)
		return
	}
	if s.Filed || s.State == campaign.StateChecking {
		delete(c.sending, id)
		return
	}
	if s.State.Final() {
		err = c.in.leave(s)
	} else {
		err = c.status(id)
	}
	if err != nil {
		c.in.log.Error("write the sending's files; it is tried again", "sending", id, "err", err)
	}
	if s.State == campaign.StateSending || err != nil {
		c.sending[id] = true
	} else {
		delete(c.sending, id)
	}
}

func (c *clerk) status(id campaign.ID) error {
	s, slices, counts, err := c.in.store.Load(id)
	if err != nil {
		return err
	}
	err = report.WriteStatus(folder(s), report.Status(s, slices, counts, c.in.now()))
	failpoint.At(failpoint.StatusWritten)
	return err
}

// leave writes the final files and moves the folder to done/ or failed/ in one
// rename, so that it shows there whole (SPEC 2 and 9). It can be repeated after a crash at any point.
func (in *Intake) leave(s *campaign.Sending) error {
	from, to := folder(s), finalFolder(s)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(to); err == nil {
			return in.store.Filed(s.ID) // the crash came between rename and record
		}
		// Somebody took the folder away: the report is still owed.
		if err := os.MkdirAll(from, 0o755); err != nil {
			return fmt.Errorf("make folder: %w", err)
		}
	}
	if err := report.Write(from, in.store, s.ID); err != nil {
		return err
	}
	failpoint.At(failpoint.ReportsWritten)
	// report.json has the final word now.
	if err := os.Remove(filepath.Join(from, report.StatusFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove status: %w", err)
	}
	failpoint.At(failpoint.StatusRemoved)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	if err := safeio.MoveDir(from, to); err != nil {
		return fmt.Errorf("move %q to %s: %w", s.FolderName(), filepath.Base(filepath.Dir(to)), err)
	}
	failpoint.At(failpoint.FolderMoved)
	in.log.Info("drop ended", "sending", s.ID, "drop", s.Name, "state", s.State, "folder", to)
	err := in.store.Filed(s.ID)
	failpoint.At(failpoint.Filed)
	return err
}

// Reopen brings the folder of a finished sending back to accepted/, so that messages of
// it can be sent again. A crash on the way leaves one that start-up files anew.
func (in *Intake) Reopen(id campaign.ID) error {
	s, err := in.store.Header(id)
	if err != nil || !s.Filed || s.State != campaign.StateCompleted {
		return err
	}
	if err := in.store.Update(id, func(s *campaign.Sending) error { s.Filed = false; return nil }); err != nil {
		return fmt.Errorf("reopen %s: %w", id, err)
	}
	failpoint.At(failpoint.Reopened)
	if err := safeio.MoveDir(finalFolder(s), folder(s)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reopen %s: %w", id, err)
	}
	return nil
}
