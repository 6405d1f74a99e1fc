// Package outbox appends one JSON line per message to a file: the object of
// docs/contract.md 11, with its keys in that order. Use it to try things, or to
// pass messages to another program.
//
// A batch is one write and one sync; only then do its messages count as sent, so
// the line of every sent message is on disk. The file is checked before each
// batch, and created again (mode 0640) if it was removed or rotated. The driver
// sends nothing over the network and reads only the last byte of the file.
//
// A file that can't be opened or written holds the channel, which is tried again
// after ten seconds. A short write is undone. If that fails, or the sync does,
// nobody knows which lines are on disk, and the messages of the batch are
// unknown. A torn line gets a line end before the next batch, so that all other
// lines are complete.
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
	// maxBatch is the most messages of one Send: about 350 KB of lines, so that the sync costs little per message.
	maxBatch = 1024
	// retryAfter is short because the cause is on this host and often fixed soon.
	retryAfter = 10 * time.Second
	mode       = 0o640
)

// Channel is the driver. It implements send.Channel.
type Channel struct {
	path string
	disk disk

	mu     sync.Mutex // guards the fields below, and serializes batches
	file   file
	info   os.FileInfo // of file, to detect that path names another file
	torn   bool        // the file may end in the middle of a line
	closed bool

	encoders sync.Pool // of *encoder
}

type encoder struct {
	send.Encoder
	buf []byte
}

// New returns a channel for the file, which the first message opens or creates (mode
// 0640).
func New(path string) *Channel {
	return &Channel{path: path, disk: osDisk{}, encoders: sync.Pool{New: func() any { return new(encoder) }}}
}

// Compile implements send.Channel. It accepts any JSON object.
func (c *Channel) Compile(item json.RawMessage, names []string) (*campaign.Template, error) {
	return campaign.Compile(item, names, nil)
}

// CheckMessage implements send.Channel. It accepts every message.
func (c *Channel) CheckMessage(_, _ []byte) error { return nil }

// Batch implements send.Channel.
func (c *Channel) Batch() int { return maxBatch }

// Send implements send.Channel. It ignores ctx once it has started, because a batch takes moments.
func (c *Channel) Send(ctx context.Context, msgs []*send.Message, results []send.Result) {
	if ctx.Err() != nil {
		fillResults(results, send.Result{Verdict: send.VerdictUnreachable, Detail: "stopped before the line was written"})
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

// write appends lines and returns the result for all of their messages.
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
		// A failed sync leaves an unknown part on disk, and the next sync may succeed anyway.
		c.closeFile()
		return unknownResult(err)
	}
	after, err := c.file.Stat()
	if err != nil || links(after) == 0 {
		c.closeFile()
		return unknownResult(errors.New("the file was removed while it was written to"))
	}
	return send.Result{Verdict: send.VerdictSent}
}

// truncate removes a partly written batch, unless somebody else has written meanwhile.
func (c *Channel) truncate(before, n int64, cause error) send.Result {
	now, err := c.file.Stat()
	if err == nil && now.Size() == before+n && c.file.Truncate(before) == nil {
		return holdResult(cause)
	}
	c.torn = true
	return unknownResult(cause)
}

// ensureOpen opens the file unless it is open and path still names it.
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

// closeFile closes the file; the next batch opens it again.
func (c *Channel) closeFile() {
	if c.file != nil {
		_ = c.file.Close() // sent lines are synced
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
		detail += "; create its folder"
	case errors.Is(err, syscall.EROFS):
		detail += "; mount its file system writable"
	case errors.Is(err, os.ErrPermission):
		detail += "; let the daemon's user write there"
	}
	return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: detail, RetryAfter: retryAfter}
}

func unknownResult(err error) send.Result {
	return send.Result{Verdict: send.VerdictUnknown, Detail: "the line may or may not be in the outbox file: " + err.Error()}
}

// links returns the file's number of hard links.
func links(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 1
}
