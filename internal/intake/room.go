package intake

import (
	"fmt"
	"path/filepath"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
)

// load is a number of unfinished drops and the bytes of their files. Each inbox may have so much, so that one
// partner's drops can't crowd out the others' (docs/contract.md 12, promise 4).
type load struct {
	drops int
	bytes int64
}

// count adds to an inbox's load, or subtracts from it. t.mu must be held.
func (t *dropTable) count(inbox string, one load, sign int) {
	sum := t.inboxes[inbox]
	sum.drops += sign * one.drops
	sum.bytes += int64(sign) * one.bytes
	if sum == (load{}) {
		delete(t.inboxes, inbox)
		return
	}
	t.inboxes[inbox] = sum
}

// full returns why an inbox has no room for a load more, or "". t.mu must be held.
func (t *dropTable) full(inbox *config.Inbox, one load) string {
	sum := t.inboxes[filepath.Clean(inbox.Path)]
	switch {
	case inbox.MaxDrops > 0 && one.drops > 0 && sum.drops >= inbox.MaxDrops:
		are := "are"
		if sum.drops == 1 {
			are = "is"
		}
		return fmt.Sprintf("%s of this inbox %s unfinished, and max_drops is %d", display.Amount(sum.drops, "drop"), are, inbox.MaxDrops)
	case inbox.MaxPendingBytes > 0 && one.bytes > inbox.MaxPendingBytes-sum.bytes:
		return fmt.Sprintf("the unfinished drops of this inbox have %s, and with %s more they would have more than max_pending_bytes (%s)",
			display.Amount(sum.bytes, "byte"), display.Number(one.bytes), display.Number(inbox.MaxPendingBytes))
	}
	return ""
}

// room returns why there is no room for a drop of size bytes, or "".
func (t *dropTable) room(inbox *config.Inbox, size int64) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.full(inbox, load{drops: 1, bytes: size})
}

// reservation is room for a drop that is about to be claimed or uploaded, or for a list of opt-outs, which is
// no drop.
type reservation struct {
	t     *dropTable
	inbox *config.Inbox
	one   load
}

// reserve reserves room, or returns why there is none. The reservation ends with leave, when the drop is counted
// itself or was given up.
func (t *dropTable) reserve(inbox *config.Inbox, one load) (r *reservation, full string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if full := t.full(inbox, one); full != "" {
		return nil, full
	}
	r = &reservation{t, inbox, one}
	r.count(1)
	return r, ""
}

func (r *reservation) count(sign int) { r.t.count(filepath.Clean(r.inbox.Path), r.one, sign) }

// grow makes the reservation at least size bytes large, or returns why there is no room.
func (r *reservation) grow(size int64) (full string) {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	if size <= r.one.bytes {
		return ""
	}
	r.count(-1)
	defer func() { r.count(1) }()
	grown := load{r.one.drops, size}
	if full := r.t.full(r.inbox, grown); full != "" {
		return full
	}
	r.one = grown
	return ""
}

// leave returns the room.
func (r *reservation) leave() {
	r.t.mu.Lock()
	defer r.t.mu.Unlock()
	r.count(-1)
	r.one = load{}
}

// sizeOf returns the bytes of all files together.
func sizeOf(files []campaign.FileID) int64 {
	var sum int64
	for _, f := range files {
		sum += f.Size
	}
	return sum
}
