package relay

import (
	"encoding/json"
	"fmt"
	"maps"
	"sync"
)

// recordGrants is the name of the record of a grantBook.
const recordGrants = "relay/grants"

// grantBook records which batches of channels with on_unknown = "hold" were granted, and to whom,
// before the worker is told. After a restart nothing else says so: NATS may have lost what it
// handed out, and the hub may have ended before it offered a batch. Nobody has sent, or will
// send, a batch that isn't in the book.
type grantBook struct {
	records Records

	write sync.Mutex // held while the record is written

	mu    sync.Mutex // guards the fields below
	tag   string     // of the store: a restored store has another one, and its book is too old
	since uint64     // the first epoch whose grants are in the book
	open  map[BatchID]*bookedGrant
}

// bookedGrant is one grant.
type bookedGrant struct {
	claimant
	stored bool
}

// storedGrants is the record.
type storedGrants struct {
	Tag    string        `json:"tag"`
	Since  uint64        `json:"since"`
	Grants []storedGrant `json:"grants,omitempty"`
}

type storedGrant struct {
	Epoch  uint64 `json:"epoch"`
	Number uint64 `json:"number"`
	Worker string `json:"worker"`
	Claim  uint64 `json:"claim"`
}

// load reads the book of the store with this tag at the beginning of an epoch, or begins one.
func (g *grantBook) load(tag string, epoch uint64) error {
	var last storedGrants
	found, err := readRecord(g.records, recordGrants, &last)
	if err != nil {
		return fmt.Errorf("read the record of grants: %w", err)
	}
	if !found || last.Tag != tag {
		last = storedGrants{Since: epoch}
	}
	g.mu.Lock()
	g.tag, g.since, g.open = tag, last.Since, map[BatchID]*bookedGrant{}
	for _, one := range last.Grants {
		g.open[BatchID{one.Epoch, one.Number}] = &bookedGrant{claimant: claimant{one.Worker, one.Claim}}
	}
	g.mu.Unlock()
	return g.store()
}

// add records a grant. When it returns nil, the grant is durable; grants of the same moment are
// written together.
func (g *grantBook) add(id BatchID, to claimant) error {
	one := &bookedGrant{claimant: to}
	g.mu.Lock()
	g.open[id] = one
	g.mu.Unlock()
	g.write.Lock()
	defer g.write.Unlock()
	g.mu.Lock()
	stored := one.stored
	g.mu.Unlock()
	if stored {
		return nil
	}
	return g.store()
}

// store writes the book. g.write is held, or nobody else has the book yet.
func (g *grantBook) store() error {
	g.mu.Lock()
	record := storedGrants{Tag: g.tag, Since: g.since}
	list := make([]*bookedGrant, 0, len(g.open))
	for id, one := range g.open {
		record.Grants = append(record.Grants, storedGrant{id.Epoch, id.Number, one.worker, one.number})
		list = append(list, one)
	}
	g.mu.Unlock()
	text, err := json.Marshal(record)
	if err == nil {
		err = g.records.PutRecord(recordGrants, text)
	}
	if err != nil {
		return fmt.Errorf("record grants: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range list {
		one.stored = true
	}
	return nil
}

// remove forgets a grant whose results are recorded. The next add writes that.
func (g *grantBook) remove(id BatchID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, id)
}

// removeBefore forgets the grants of earlier epochs.
func (g *grantBook) removeBefore(epoch uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	maps.DeleteFunc(g.open, func(id BatchID, _ *bookedGrant) bool { return id.Epoch < epoch })
}

// holder returns who was granted a batch. It returns false if the book says nobody.
func (g *grantBook) holder(id BatchID) (claimant, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if one := g.open[id]; one != nil {
		return one.claimant, true
	}
	return claimant{}, false
}

// neverGranted returns a function that reports whether the batch with a number of send's was
// certainly granted to nobody.
func (g *grantBook) neverGranted() func(number uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	since, granted := g.since, make(map[uint64]bool, len(g.open))
	for id := range g.open {
		granted[sendNumber(id)] = true
	}
	return func(number uint64) bool { return number>>epochShift >= since && !granted[number] }
}
