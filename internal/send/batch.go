package send

import (
	"time"

	"campaignd/internal/campaign"
)

// item is one message of a parcel: where it comes from, and what became of it.
type item struct {
	cursor   *sendingCursor
	chunk    *chunk // that holds its row, until it is rendered
	row      uint32
	message  uint8
	attempts uint8                  // this attempt included
	before   campaign.MessageStatus // before it was picked
	due      int64                  // Unix nanoseconds
	lateFrom int64                  // its lateness counts from here: due, or the time of the retry

	outcome          campaign.Outcome // once decided
	recordedAttempts uint8            // attempts as recorded
	nextAt           time.Time        // Retrying
}

// parcel is what one call of a driver gets. It is reused.
type batch struct {
	driver  *driver
	due     int64 // Unix nanoseconds: not to be handed out before; 0: at once
	first   int64 // the least of its items' times, where due is the last
	items   []item
	msgs    []Message
	ptrs    []*Message
	results []Result

	content []byte // the rendered items, end to end
	text    []byte // keys and contact codes, end to end
	ends    []int  // for each message: ends of key and contact in text, of its content
}

// Results that only the dispatcher gives.
const (
	verdictReturned Verdict = 200 + iota // never handed to the driver: as before
	verdictRefused                       // refused by the books: nothing to record
)

func (b *batch) reset() {
	clear(b.items)
	clear(b.msgs)
	clear(b.results)
	b.driver, b.due, b.first = nil, 0, 0
	b.items, b.msgs, b.ptrs, b.results = b.items[:0], b.msgs[:0], b.ptrs[:0], b.results[:0]
	b.content, b.text, b.ends = b.content[:0], b.text[:0], b.ends[:0]
}

// goesWith reports whether a message that is due at hold, 0 for at once, may go with the others.
func (b *batch) fits(hold int64) bool {
	if hold == 0 || b.due == 0 {
		return hold == b.due
	}
	return hold >= b.first && hold-b.first <= int64(sameMoment)
}

// render makes the messages of the parcel's items, from chunks that the group keeps
// until then. One string for all keys and contact codes is the only thing allocated.
func (b *batch) render(channel string) {
	for i := range b.items {
		it := &b.items[i]
		cur, rows := it.cursor, &it.chunk.rows
		s, at := cur.run.s, int(it.row-rows.First)
		b.text = campaign.AppendKey(b.text, s.ID, s.Tag, rows.Lines[at], int(it.message))
		b.ends = append(b.ends, len(b.text))
		b.text = append(b.text, rows.Contacts.At(at)...)
		b.ends = append(b.ends, len(b.text))
		b.content = cur.templates[it.message-1].Append(b.content, rows, at)
		b.ends = append(b.ends, len(b.content))
		b.msgs = append(b.msgs, Message{
			SendingID: s.ID, Reference: s.Reference, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID,
			ChannelType: channel, Number: int(it.message), Attempt: int(it.attempts), DueAt: time.Unix(0, it.due).UTC(),
		})
		b.results = append(b.results, Result{})
		it.chunk = nil
	}
	// The buffers don't move any more.
	text := string(b.text)
	var at, body int
	for i := range b.msgs {
		m, ends := &b.msgs[i], b.ends[3*i:3*i+3]
		m.Key, m.ContactCode = text[at:ends[0]], text[ends[0]:ends[1]]
		m.Content = b.content[body:ends[2]:ends[2]]
		at, body = ends[1], ends[2]
	}
}

// group is what a lane has picked since its last commit: parcels, and messages
// that are settled without being sent. It is reused.
type group struct {
	batches []*batch
	entries []campaign.Entry // attempts in the order of the parcels' items, then settled ones
	settled []item
	chunks  []*chunk // that its parcels are yet to be rendered from
	count   int      // attempts
}

// need keeps a chunk as it is until the group is rendered.
func (g *group) need(ch *chunk) {
	if !ch.needed {
		ch.needed = true
		g.chunks = append(g.chunks, ch)
	}
}

// render renders the group's parcels.
func (cs *channelSender) render() {
	for _, b := range cs.group.batches {
		b.render(cs.name)
	}
}

// free gives a chunk back, at once or when the group no longer needs it.
func (cs *channelSender) free(ch *chunk) {
	if ch.needed {
		ch.dropped = true
		return
	}
	cs.d.chunks.Put(ch)
}

// recycle says that the group no longer needs its chunks.
func (cs *channelSender) releaseChunks() {
	for _, ch := range cs.group.chunks {
		ch.needed = false
		if ch.dropped {
			ch.dropped = false
			cs.d.chunks.Put(ch)
		}
	}
	clear(cs.group.chunks)
	cs.group.chunks = cs.group.chunks[:0]
}

func (g *group) reset() {
	clear(g.batches)
	clear(g.entries)
	clear(g.settled)
	g.batches, g.entries, g.settled, g.count = g.batches[:0], g.entries[:0], g.settled[:0], 0
}

// remark brings a chunk that was just read up to what the group has picked from it.
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

// markNow is the mark of an item that was picked: in flight, or settled.
func (it *item) status() campaign.MessageStatus {
	if it.outcome.Final() {
		return campaign.NewMessageStatus(it.outcome, int(it.recordedAttempts))
	}
	return campaign.NewMessageStatus(campaign.InFlight, int(it.attempts))
}
