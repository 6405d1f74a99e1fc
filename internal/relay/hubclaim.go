package relay

import (
	"github.com/nats-io/nats.go"
)

// takeClaim answers a worker that asks whether it may send a batch. A claim may take a moment,
// to keep the channel's rate, so each has its goroutine; there are no more than batches.
func (h *Hub) takeClaim(m *nats.Msg) {
	c, err := DecodeClaim(m.Data, h.wire)
	if err != nil {
		h.counts.garbage.Add(1)
		return
	}
	h.claims.Go(func() {
		grant := h.decide(&c)
		_ = m.Respond(AppendGrant(nil, &grant)) // without a reply the worker gives the batch back
	})
}

// claimant is one claim of a worker. The same worker can get a batch again, when NATS has lost
// that it handed it out.
type claimant struct {
	worker string
	number uint64
}

func (c *Claim) claimant() claimant { return claimant{c.Worker, c.Number} }

// claimant returns the claim after which the answers were given.
func (a *Answers) claimant() claimant { return claimant{a.Worker, a.Claim} }

// decide decides about a claim.
func (h *Hub) decide(c *Claim) Grant {
	g := Grant{Version: c.Version, ID: c.ID, Decision: Withdrawn}
	b := h.batch(c.ID)
	if b == nil {
		return g
	}
	if !h.leads() {
		g.Decision = TryLater
		return g
	}
	b.claim.Lock()
	defer b.claim.Unlock()
	any := false
	for i, yes := range b.Claim() {
		if yes {
			any = true
		} else {
			g.Refused = append(g.Refused, i)
		}
	}
	if !any {
		g.Refused = nil
		return g
	}
	b.mu.Lock() // before the grant is recorded: meanwhile nobody else can give the batch back
	b.grants++
	b.holder = c.claimant()
	b.mu.Unlock()
	if b.hold {
		if err := h.grants.add(c.ID, c.claimant()); err != nil {
			h.log.Error("a batch can't be granted; its worker gives it back", "err", err)
			return Grant{Version: c.Version, ID: c.ID, Decision: TryLater}
		}
	}
	g.Decision = Granted
	return g
}

// batch returns the batch under way with that id, or nil.
func (h *Hub) batch(id BatchID) *handOut {
	if id.Epoch != h.epoch.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.batches[id.Number]
}

// takeAlive notes the signs of life of a worker.
func (h *Hub) takeAlive(m *nats.Msg) {
	a, err := DecodeAlive(m.Data, h.wire)
	if err != nil {
		h.counts.garbage.Add(1)
		return
	}
	for _, n := range a.Numbers {
		if b := h.batch(BatchID{a.Epoch, n}); b != nil {
			b.Alive()
		}
	}
}
