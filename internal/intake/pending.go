package intake

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/watch"
)

// pending counts the unfinished drops of each inbox and the bytes of their files, so that one
// partner's drops can't crowd out the others' (docs/contract.md 12, promise 4). It is kept in
// memory; Recover fills it from the store.
type pending struct {
	mu   sync.Mutex // guards all below
	sums map[string]load
	of   map[campaign.ID]load       // drops is 1; inbox is where it counts
	ids  map[dropName][]campaign.ID // oldest first
}

// named returns the unfinished drops of a name, oldest first.
func (p *pending) named(inbox, name string) []campaign.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.ids[nameOf(inbox, name)])
}

// load is a number of drops and the bytes of their files.
type load struct {
	inbox string
	name  dropName
	drops int
	bytes int64
}

func newPending() *pending {
	return &pending{sums: map[string]load{}, of: map[campaign.ID]load{}, ids: map[dropName][]campaign.ID{}}
}

// add counts a drop that is in the store.
func (p *pending) add(s *campaign.Sending) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.of[s.ID]; known {
		return
	}
	one := load{inbox: filepath.Clean(s.Inbox), drops: 1, bytes: sizeOf(s.Files), name: nameOf(s.Inbox, s.Name)}
	p.of[s.ID] = one
	p.ids[one.name] = append(p.ids[one.name], s.ID)
	p.change(one, 1)
}

// remove stops counting a drop; unknown ids are ignored.
func (p *pending) remove(id campaign.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, known := p.of[id]
	if !known {
		return
	}
	delete(p.of, id)
	if p.ids[one.name] = slices.DeleteFunc(p.ids[one.name], func(other campaign.ID) bool { return other == id }); len(p.ids[one.name]) == 0 {
		delete(p.ids, one.name)
	}
	p.change(one, -1)
}

func (p *pending) change(one load, sign int) {
	sum := p.sums[one.inbox]
	sum.drops += sign * one.drops
	sum.bytes += int64(sign) * one.bytes
	if sum.drops == 0 && sum.bytes == 0 {
		delete(p.sums, one.inbox)
		return
	}
	p.sums[one.inbox] = sum
}

// admit reserves room for a drop about to be claimed or a list of opt-outs (no drops), or returns why
// there is none. leave returns the room once the drop is counted itself or was given up.
func (p *pending) admit(inbox *config.Inbox, one load) (leave func(), full string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.inbox = filepath.Clean(inbox.Path)
	if full := p.full(inbox, one); full != "" {
		return nil, full
	}
	p.change(one, 1)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.change(one, -1)
	}, ""
}

// reservation is the room of a drop that is still being uploaded.
type reservation struct {
	p     *pending
	inbox *config.Inbox
	one   load
}

// reserve is admit for a drop that grows: it reserves size bytes for it, or returns why there is no room.
func (p *pending) reserve(inbox *config.Inbox, size int64) (r *reservation, full string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r = &reservation{p, inbox, load{inbox: filepath.Clean(inbox.Path), drops: 1, bytes: size}}
	if full := p.full(inbox, r.one); full != "" {
		return nil, full
	}
	p.change(r.one, 1)
	return r, ""
}

// grow makes the reservation at least size bytes large, or returns why there is no room.
func (r *reservation) grow(size int64) (full string) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if size <= r.one.bytes {
		return ""
	}
	r.p.change(r.one, -1)
	defer func() { r.p.change(r.one, 1) }()
	grown := r.one
	grown.bytes = size
	if full := r.p.full(r.inbox, grown); full != "" {
		return full
	}
	r.one = grown
	return ""
}

// leave returns the room.
func (r *reservation) leave() {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	r.p.change(r.one, -1)
	r.one = load{inbox: r.one.inbox}
}

// room returns why there is no room for a drop of size bytes, or "".
func (p *pending) room(inbox *config.Inbox, size int64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.full(inbox, load{drops: 1, bytes: size})
}

func (p *pending) full(inbox *config.Inbox, one load) string {
	sum := p.sums[filepath.Clean(inbox.Path)]
	switch {
	case inbox.MaxDrops > 0 && one.drops > 0 && sum.drops >= inbox.MaxDrops:
		return fmt.Sprintf("%s drops of this inbox are unfinished, and max_drops is %d", display.Number(sum.drops), inbox.MaxDrops)
	case inbox.MaxPendingBytes > 0 && one.bytes > inbox.MaxPendingBytes-sum.bytes:
		return fmt.Sprintf("the unfinished drops of this inbox have %s, this one has %s, and max_pending_bytes is %s",
			display.Amount(sum.bytes, "byte"), display.Number(one.bytes), display.Number(inbox.MaxPendingBytes))
	}
	return ""
}

// sizeOf returns the bytes of all files together.
func sizeOf(files []campaign.FileID) int64 {
	var sum int64
	for _, f := range files {
		sum += f.Size
	}
	return sum
}

// roomRetry is the pause before a drop that waits for room is examined again, at the next scan after
// that.
const roomRetry = time.Second

// waitForRoom reports whether a drop has to wait for others of its inbox to end. Each gets a wait
// of its own, but the log has one line for all, because the partner chooses their number.
func (in *Intake) waitForRoom(d watch.Drop, inbox *config.Inbox, full string) bool {
	if full == "" {
		return false
	}
	in.log.Once("full "+inbox.Path, "drops wait for others of their inbox to end", "inbox", inbox.Path, "reason", full)
	in.noteWait(d, full, in.now().Add(roomRetry))
	return true
}

// overLimit returns why a drop can't be taken in at all, or nil if it can or may wait.
func (in *Intake) overLimit(d watch.Drop, inbox *config.Inbox) *refusal {
	size := sizeOf(fileIDs(d))
	if inbox.MaxPendingBytes > 0 && size > inbox.MaxPendingBytes {
		return refusalFor("drop-too-large", "the drop's files have %s, more than all drops of this inbox together may have (max_pending_bytes is %s): "+
			"split it into smaller ones, or ask the operator", display.Amount(size, "byte"), display.Number(inbox.MaxPendingBytes))
	}
	if full := in.pending.room(inbox, size); full != "" && in.now().Sub(d.FirstSeen) > inbox.PairTimeout {
		return refusalFor("inbox-full", "it waited %s for earlier drops of this inbox to end: %s; upload it again when some have ended, or ask the operator",
			formatDuration(inbox.PairTimeout), full)
	}
	return nil
}
