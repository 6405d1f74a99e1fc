// Package outbox is the channel that appends one JSON line a message to a file:
// the object of SPEC 11, the keys in its order. It is the default for trying out,
// and a way to hand messages to another program.
//
// A batch is one write and one sync, and only then are its messages sent: a line
// whose message the books call sent is on disk. The file is looked at before
// every batch, so one that was removed or rotated away is made anew (mode 0640).
// It sends nothing anywhere and never reads the file but for its last byte.
//
// How it fails: a file that can't be opened or written holds the channel, which
// is tried again after ten seconds. A write that was cut short is taken back; if
// it can't be, or the sync fails, no one can tell what of the batch is on disk
// and its messages are unknown. The rest of a torn line is ended by a line end
// before the next batch, so that every other line stays whole.
package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

const (
	// batch is the most messages a Send takes. 1,024 lines are some 350 KB: enough to make the sync's share small.
	maxBatch = 1024
	// again is when a held outbox is tried again: the cause is on this host and often soon mended.
	retryAfter = 10 * time.Second
	mode       = 0o640
)

// Channel is the driver. It implements send.Channel.
type Channel struct {
	path string
	disk disk

	mu     sync.Mutex // guards what follows, and makes batches one after another
	file   file
	info   os.FileInfo // of file, to tell whether path still names it
	torn   bool        // the file may end in the middle of a line
	closed bool

	encoders sync.Pool // of *encoder
}

type encoder struct {
	send.Encoder
	buf []byte
}

// New makes the channel for a file, which is opened (and made, mode 0640) when
// the first message goes out.
func New(path string) *Channel {
	return &Channel{path: path, disk: osDisk{}, encoders: sync.Pool{New: func() any { return new(encoder) }}}
}

// Compile implements send.Channel: any JSON object will do.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}

// CheckMessage implements send.Channel: a file refuses nothing.
func (c *Channel) CheckMessage(_, _ []byte) error { return nil }

// Batch implements send.Channel.
func (c *Channel) Batch() int { return maxBatch }

// Send implements send.Channel. Once begun a batch is not given up: it takes moments.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	if ctx.Err() != nil {
		fillResults(results, send.Result{Verdict: send.VerdictRetry, Detail: "stopped before the line was written"})
		return
	}
	e := c.encoders.Get().(*encoder)
	defer c.encoders.Put(e)
	e.buf = e.buf[:0]
	at := time.Now().UTC().Round(0)
	for _, m := range msgs {
		m.SentAt = at
		e.buf = append(e.Append(e.buf, m), '\n')
	}
	fillResults(results, c.write(e.buf))
}

func fillResults(results []send.Result, with send.Result) {
	for i := range results {
		results[i] = with
	}
}

// write appends lines and says what that means for all of their messages.
func (c *Channel) write(lines []byte) send.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.ensureOpen(); err != nil {
		return holdResult(err)
	}
	if c.torn {
		if _, err := c.file.Write([]byte{'\n'}); err != nil {
			return holdResult(err)
		}
		c.torn = false
	}
	before, err := c.file.Stat()
	if err != nil {
		return holdResult(err)
	}
	n, err := c.file.Write(lines)
	if err != nil {
		if n == 0 {
			return holdResult(err)
		}
		return c.truncate(before.Size(), int64(n), err)
	}
	if err := c.file.Sync(); err != nil {
		// What a failed sync leaves on disk is unknown, and the next one may say that all is well.
		c.closeFile()
		return unknownResult(fmt.Errorf("sync: %w", err))
	}
	after, err := c.file.Stat()
	if err != nil || links(after) == 0 {
		c.closeFile()
		return unknownResult(errors.New("the file was removed while it was written to"))
	}
	return send.Result{Verdict: send.VerdictSent}
}

// takeBack cuts off a part of a batch, if nobody else has written meanwhile.
func (c *Channel) truncate(before, n int64, cause error) send.Result {
	now, err := c.file.Stat()
	if err == nil && now.Size() == before+n && c.file.Truncate(before) == nil {
		return holdResult(cause)
	}
	c.torn = true
	return unknownResult(cause)
}

// ready makes sure that the file is open and path names it.
func (c *Channel) ensureOpen() error {
	if c.closed {
		return errors.New("the channel is closed")
	}
	if c.file != nil {
		named, err := c.disk.Stat(c.path)
		if err == nil && os.SameFile(named, c.info) {
			return nil
		}
		c.closeFile()
	}
	f, made, err := c.disk.Open(c.path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", c.path)
	}
	if err == nil && made {
		err = c.disk.SyncDir(filepath.Dir(c.path))
	}
	torn := false
	if err == nil && info.Size() > 0 {
		var last [1]byte
		_, err = f.ReadAt(last[:], info.Size()-1)
		torn = last[0] != '\n'
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return err
	}
	c.file, c.info, c.torn = f, info, torn
	return nil
}

// drop closes the file; the next batch opens it anew.
func (c *Channel) closeFile() {
	if c.file != nil {
		_ = c.file.Close() // what counts was synced
	}
	c.file, c.info, c.torn = nil, nil, false
}

// Close implements send.Channel.
func (c *Channel) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closeFile()
	c.closed = true
	return nil
}

func holdResult(err error) send.Result {
	detail := "cannot write the outbox file: " + err.Error()
	switch {
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		detail += "; make room on its disk"
	case errors.Is(err, os.ErrNotExist):
		detail += "; make its folder"
	case errors.Is(err, os.ErrPermission):
		detail += "; let the daemon's user write there"
	}
	return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: detail, RetryAfter: retryAfter}
}

func unknownResult(err error) send.Result {
	return send.Result{Verdict: send.VerdictUnknown, Detail: "the line may or may not be in the outbox file: " + err.Error()}
}

// links is the number of names a file has.
func links(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}
