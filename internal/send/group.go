package send

import "campaignd/internal/campaign"

// group collects what a channel sender has picked since its last commit: batches, and messages
// with a final outcome that are not sent. It is reused.
type group struct {
	*environment
	batches []*batch
	entries []campaign.Entry // attempts in the order of the batches' items, then settled ones
	settled []item
	needed  []*chunk // chunks that its batches are rendered from
	count   int      // attempts
}

// need keeps a chunk unchanged until the group is rendered.
func (g *group) need(ch *chunk) {
	if !ch.needed {
		ch.needed = true
		g.needed = append(g.needed, ch)
	}
}

// render renders the group's batches.
func (g *group) render(channel string) {
	for _, b := range g.batches {
		b.render(channel)
	}
}

// free releases a chunk, now or when the group no longer needs it.
func (g *group) free(ch *chunk) {
	if ch.needed {
		ch.dropped = true
		return
	}
	g.chunks.Put(ch)
}

// releaseChunks releases the chunks that the group needed.
func (g *group) releaseChunks() {
	for _, ch := range g.needed {
		ch.needed = false
		if ch.dropped {
			ch.dropped = false
			g.chunks.Put(ch)
		}
	}
	clear(g.needed)
	g.needed = g.needed[:0]
}

func (g *group) reset() {
	clear(g.batches)
	clear(g.entries)
	clear(g.settled)
	g.batches, g.entries, g.settled, g.count = g.batches[:0], g.entries[:0], g.settled[:0], 0
}

// applyTo applies what the group has picked to a chunk that was just read.
func (g *group) applyTo(cur *sendingCursor, ch *chunk) {
	each := func(items []item) {
		for i := range items {
			if it := &items[i]; it.cursor == cur && it.row/campaign.ChunkRows == ch.number {
				ch.set(cur, it.row, it.message, it.status())
			}
		}
	}
	for _, b := range g.batches {
		each(b.items)
	}
	each(g.settled)
}
