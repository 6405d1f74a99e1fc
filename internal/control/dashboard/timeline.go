package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// colors is the number of different colors; more sendings repeat them.
const colors = 8

// The chart has a row for every six hours. A cell is a slot, or several slots if
// they are shorter than minCell.
const (
	rowLength = 6 * time.Hour
	minCell   = 5 * time.Minute
)

// applicationChart is the chart of one application.
type applicationChart struct {
	ID       int64
	Title    string
	Sliced   bool
	About    string
	Rows     []timeRow
	Sendings []slotUser
	More     string // how many sendings aren't listed, "" if none
	Hours    []hour
}

// timeRow is six hours.
type timeRow struct {
	Day   string // if a new day begins
	Time  string
	Label string // for a screen reader
	Sum   string
	Boxes []box
	Now   string // position of the current time, "" if it isn't in this row
}

// slotUser is a sending with unsent messages.
type slotUser struct {
	ID       campaign.ID
	Name     string
	State    campaign.State
	Class    string
	Messages string
	Slots    string
	Start    moment
	End      moment
}

// hour is a row of the table that accompanies the chart.
type hour struct {
	Start moment
	Sum   string
	Who   string
}

// timeline renders the page of the next 48 hours.
func (d *Dashboard) timeline(r *http.Request, l viewer) (*view, error) {
	t, err := cached(&d.cache, "timeline", maxAge, func() (api.Timeline, error) { return d.service.Timeline(r.Context(), 0, pageSize) })
	if err != nil {
		return nil, err
	}
	list, err := d.list("applications", "application", len(t.Applications), func(i int) (string, any) {
		a := t.Applications[i]
		return fmt.Sprintf("application-%d", a.ApplicationID), applicationOf(t, a, l)
	})
	if err != nil {
		return nil, err
	}
	return &view{Title: "Timeline", Nav: "/timeline", Body: "timeline", Regions: []region{list}}, nil
}

func applicationOf(t api.Timeline, a api.ApplicationTimeline, l viewer) applicationChart {
	one := applicationChart{ID: a.ApplicationID, Title: fmt.Sprintf("Application %d", a.ApplicationID), Sliced: a.Sliced && a.SlotSeconds > 0}
	if a.Name != "" {
		one.Title = a.Name
		one.About = fmt.Sprintf("application %d", a.ApplicationID)
	}
	if a.More > 0 {
		one.More = display.Amount(a.More, "more sending")
	}
	class, names := map[campaign.ID]string{}, map[campaign.ID]string{}
	for _, s := range a.Sendings {
		h := slotUser{ID: s.ID, Name: s.Name, State: s.State, Messages: display.Amount(s.Messages, "message"), Start: l.moment(s.Start), End: l.moment(s.End)}
		names[s.ID] = s.Name
		if s.Slots > 0 {
			class[s.ID] = fmt.Sprintf("c%d", len(class)%colors)
			h.Class, h.Slots = class[s.ID], display.Amount(s.Slots, "slot")
		}
		one.Sendings = append(one.Sendings, h)
	}
	if !one.Sliced {
		return one
	}
	about := []string{}
	if one.About != "" {
		about = append(about, one.About)
	}
	one.About = strings.Join(append(about, fmt.Sprintf("slots of %s for %s", duration(time.Duration(a.SlotSeconds)*time.Second), display.Amount(a.Capacity, "message"))), ", ")
	c := canvas{t: t, a: a, l: l, class: class, names: names}
	c.cells()
	day := ""
	for start := firstRow(t.From, l.zone); start.Before(t.Until); start = start.Add(rowLength) {
		row := c.row(start)
		local := start.In(l.zone)
		if label := local.Format("Mon 2 Jan"); label != day {
			day, row.Day = label, label
		}
		one.Rows = append(one.Rows, row)
	}
	one.Hours = c.hours()
	return one
}

// firstRow returns the last of 0, 6, 12 and 18 o'clock local time that isn't after at.
func firstRow(at time.Time, zone *time.Location) time.Time {
	local := at.In(zone)
	into := time.Duration(local.Hour()%6)*time.Hour + time.Duration(local.Minute())*time.Minute +
		time.Duration(local.Second())*time.Second + time.Duration(local.Nanosecond())
	return at.Add(-into).UTC()
}

// canvas draws one application.
type canvas struct {
	t     api.Timeline
	a     api.ApplicationTimeline
	l     viewer
	class map[campaign.ID]string
	names map[campaign.ID]string
	cell  time.Duration
	list  []cell
}

// cell is one or several slots with reservations.
type cell struct {
	start    time.Time
	room     uint64
	reserved uint64
	shares   []api.Share
}

// cells groups the slots into cells.
func (c *canvas) cells() {
	slot := time.Duration(c.a.SlotSeconds) * time.Second
	c.cell = slot
	if slot < minCell {
		c.cell = max(minCell/slot, 1) * slot
	}
	for _, s := range c.a.Slots {
		start := time.Unix(0, s.Start.UnixNano()/int64(c.cell)*int64(c.cell)).UTC()
		if n := len(c.list); n == 0 || !c.list[n-1].start.Equal(start) {
			c.list = append(c.list, cell{start: start, room: uint64(c.a.Capacity) * uint64(c.cell/slot)})
		}
		last := &c.list[len(c.list)-1]
		last.reserved += uint64(s.Reserved)
		for _, share := range s.Shares {
			i := slices.IndexFunc(last.shares, func(o api.Share) bool { return o.ID == share.ID })
			if i < 0 {
				last.shares = append(last.shares, share)
			} else {
				last.shares[i].Messages += share.Messages
			}
		}
	}
}

// row draws the six hours from start on.
func (c *canvas) row(start time.Time) timeRow {
	end := start.Add(rowLength)
	row := timeRow{Time: start.In(c.l.zone).Format("15:04")}
	x := func(at time.Time) float64 {
		return canvasWidth * min(max(at.Sub(start).Seconds()/rowLength.Seconds(), 0), 1)
	}
	strip := func(from, to time.Time, class string) {
		if from.Before(end) && to.After(start) {
			const low = 12 // a strip at the bottom
			row.Boxes = append(row.Boxes, boxOf(x(from), canvasHeight-low, x(to)-x(from), low, class, ""))
		}
	}
	first := time.Unix(0, start.UnixNano()/int64(c.cell)*int64(c.cell)).UTC()
	gap := min(canvasWidth*c.cell.Seconds()/rowLength.Seconds()*0.12, 3)
	for at := first; at.Before(end); at = at.Add(c.cell) {
		if to := at.Add(c.cell); to.After(c.t.From) && at.Before(c.t.Until) && to.After(start) && !c.closed(at, to) {
			row.Boxes = append(row.Boxes, boxOf(x(at), 0, max(x(to)-x(at)-gap, 0.5), canvasHeight, "empty", ""))
		}
	}
	for _, closed := range c.a.Closed {
		strip(closed.Start, closed.End, "closed")
	}
	var sum, room uint64
	var who []string
	for _, one := range c.list {
		to := one.start.Add(c.cell)
		if !one.start.Before(end) || !to.After(start) {
			continue
		}
		sum, room = sum+one.reserved, room+one.room
		y := canvasHeight
		for _, share := range one.shares {
			h := canvasHeight * min(float64(share.Messages)/float64(max(one.room, 1)), 1)
			y = max(y-h, 0)
			row.Boxes = append(row.Boxes, boxOf(x(one.start), y, max(x(to)-x(one.start)-gap, 0.5), h, c.classOf(share.ID), c.title(one)))
			if name := c.nameOf(share.ID); !slices.Contains(who, name) {
				who = append(who, name)
			}
		}
	}
	row.Label = fmt.Sprintf("%s to %s: ", start.In(c.l.zone).Format("Mon 15:04"), end.In(c.l.zone).Format("15:04"))
	if sum == 0 {
		row.Label += "nothing reserved"
	} else {
		row.Sum = display.Number(sum)
		row.Label += display.Amount(sum, "message") + " reserved by " + firstFew(who)
	}
	if !c.t.From.Before(start) && c.t.From.Before(end) {
		row.Now = fmt.Sprintf("%.2f", x(c.t.From))
	}
	return row
}

// closed reports whether all of [from, to) is outside the sending windows.
func (c *canvas) closed(from, to time.Time) bool {
	if from.Before(c.t.From) {
		from = c.t.From // the past is unknown
	}
	if to.After(c.t.Until) {
		to = c.t.Until
	}
	return slices.ContainsFunc(c.a.Closed, func(s api.Span) bool { return !from.Before(s.Start) && !to.After(s.End) })
}

func (c *canvas) classOf(id campaign.ID) string {
	if class, ok := c.class[id]; ok {
		return class
	}
	return "other" // it has ended meanwhile
}

func (c *canvas) nameOf(id campaign.ID) string {
	if name, ok := c.names[id]; ok {
		return name
	}
	return string(id)
}

// title returns the tooltip of a cell.
func (c *canvas) title(one cell) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s: %s of %s", c.l.moment(one.start).Text, one.start.Add(c.cell).In(c.l.zone).Format("15:04"), display.Number(one.reserved), display.Number(one.room))
	for i, share := range one.shares {
		if i == 5 {
			fmt.Fprintf(&b, "\nand %d more", len(one.shares)-i)
			break
		}
		fmt.Fprintf(&b, "\n%s: %s", c.nameOf(share.ID), display.Number(share.Messages))
	}
	return b.String()
}

// firstFew lists the first few names and counts the rest.
func firstFew(names []string) string {
	const few = 5
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}

// hours returns the chart's content as a table, one row an hour.
func (c *canvas) hours() []hour {
	type sum struct {
		reserved uint64
		who      []string
	}
	var order []time.Time
	sums := map[time.Time]*sum{}
	for _, one := range c.list {
		start := one.start.Truncate(time.Hour)
		s := sums[start]
		if s == nil {
			s = &sum{}
			sums[start] = s
			order = append(order, start)
		}
		s.reserved += one.reserved
		for _, share := range one.shares {
			if name := c.nameOf(share.ID); !slices.Contains(s.who, name) {
				s.who = append(s.who, name)
			}
		}
	}
	list := make([]hour, len(order))
	for i, start := range order {
		list[i] = hour{c.l.moment(start), display.Number(sums[start].reserved), firstFew(sums[start].who)}
	}
	return list
}
