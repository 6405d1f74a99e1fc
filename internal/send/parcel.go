package send

import (
	"time"

	"campaignd/internal/campaign"
)

// item is one message of a parcel: where it comes from, and what became of it.
type item struct {
	feed     *feed
	row      uint32
	message  uint8
	attempts uint8         // this attempt included
	was      campaign.Mark // before it was picked
	due      int64         // Unix nanoseconds
	from     int64         // its lateness counts from here: due, or the time of the retry

	outcome campaign.Outcome // once decided
	counted uint8            // attempts as recorded
	nextAt  time.Time        // Retrying
}

// parcel is what one call of a driver gets. It is reused.
type parcel struct {
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
	verdictBack    Verdict = 200 + iota // never handed to the driver: as before
	verdictRefused                      // refused by the books: nothing to record
)

func (p *parcel) reset() {
	clear(p.items)
	clear(p.msgs)
	clear(p.results)
	p.driver, p.due, p.first = nil, 0, 0
	p.items, p.msgs, p.ptrs, p.results = p.items[:0], p.msgs[:0], p.ptrs[:0], p.results[:0]
	p.content, p.text, p.ends = p.content[:0], p.text[:0], p.ends[:0]
}

// goesWith reports whether a message that is due at hold, 0 for at once, may go with the others.
func (p *parcel) goesWith(hold int64) bool {
	if hold == 0 || p.due == 0 {
		return hold == p.due
	}
	return hold >= p.first && hold-p.first <= int64(sameMoment)
}

// add renders the message it says into the parcel.
func (p *parcel) add(it item, ch *chunk, l *lane) {
	f, i := it.feed, int(it.row-ch.rows.First)
	s := f.run.s
	p.text = campaign.AppendKey(p.text, s.ID, s.Tag, ch.rows.Lines[i], int(it.message))
	p.ends = append(p.ends, len(p.text))
	p.text = append(p.text, ch.rows.Contacts.At(i)...)
	p.ends = append(p.ends, len(p.text))
	p.content = f.templates[it.message-1].Append(p.content, &ch.rows, i)
	p.ends = append(p.ends, len(p.content))
	p.items = append(p.items, it)
	p.msgs = append(p.msgs, Message{
		SendingID: s.ID, Reference: s.Reference, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID,
		ChannelType: l.name, Number: int(it.message), Attempt: int(it.attempts),
	})
	p.results = append(p.results, Result{})
}

// seal fills in what could not be while the buffers still moved. One string
// for all keys and contact codes is the only thing allocated.
func (p *parcel) seal() {
	text := string(p.text)
	var at, body int
	for i := range p.msgs {
		m, ends := &p.msgs[i], p.ends[3*i:3*i+3]
		m.Key, m.ContactCode = text[at:ends[0]], text[ends[0]:ends[1]]
		m.Content = p.content[body:ends[2]:ends[2]]
		m.DueAt = time.Unix(0, p.items[i].due).UTC()
		at, body = ends[1], ends[2]
	}
}

// group is what a lane has picked since its last commit: parcels, and messages
// that are settled without being sent. It is reused.
type group struct {
	parcels []*parcel
	entries []campaign.Entry // attempts in the order of the parcels' items, then settled ones
	settled []item
	count   int // attempts
}

func (g *group) reset() {
	clear(g.parcels)
	clear(g.entries)
	clear(g.settled)
	g.parcels, g.entries, g.settled, g.count = g.parcels[:0], g.entries[:0], g.settled[:0], 0
}

// remark brings a chunk that was just read up to what the group has picked from it.
func (g *group) remark(f *feed, ch *chunk) {
	each := func(items []item) {
		for i := range items {
			if it := &items[i]; it.feed == f && it.row/campaign.ChunkRows == ch.number {
				ch.set(f, it.row, it.message, it.markNow())
			}
		}
	}
	for _, p := range g.parcels {
		each(p.items)
	}
	each(g.settled)
}

// markNow is the mark of an item that was picked: in flight, or settled.
func (it *item) markNow() campaign.Mark {
	if it.outcome.Final() {
		return campaign.NewMark(it.outcome, int(it.counted))
	}
	return campaign.NewMark(campaign.InFlight, int(it.attempts))
}
