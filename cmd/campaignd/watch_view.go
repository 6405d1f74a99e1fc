package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/progress"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// lineView prints a line per change, for logs and pipes.
type lineView struct {
	env *environment
}

func (v *lineView) show(s api.Sending, changed bool) error {
	if !changed {
		return nil
	}
	if v.env.json {
		data, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
		return v.env.printf("%s\n", data)
	}
	return v.env.printf("%s\n", printable(v.env.progressLine(s)))
}

func (v *lineView) end() {}

// progressLine describes a sending in one line.
func (env *environment) progressLine(s api.Sending) string {
	line := fmt.Sprintf("%s %s %s: ", s.ID, s.Name, s.State)
	if !s.State.Final() || s.Messages.Sent == s.Messages.Planned {
		line += percentText(s.Percent) + ", "
	}
	line += fmt.Sprintf("%s of %s sent", display.Number(s.Messages.Sent), display.Number(s.Messages.Planned))
	for _, one := range []struct {
		n       uint64
		outcome string
	}{{s.Messages.Failed, "failed"}, {s.Messages.Expired, "expired"}, {s.Messages.Unknown, "unknown"}} {
		if one.n > 0 {
			line += fmt.Sprintf(", %s %s", display.Number(one.n), one.outcome)
		}
	}
	if s.Rate > 0 && !s.State.Final() {
		line += fmt.Sprintf(", %.1f/s", s.Rate)
	}
	if !s.EstimatedEnd.IsZero() && !s.State.Final() {
		line += ", end " + env.instant(s.EstimatedEnd)
	}
	if s.Reason != "" {
		line += "; " + s.Reason
	}
	if s.WaitsFor != nil {
		line += "; waits: " + env.waitText(s.WaitsFor)
	}
	return line
}

// barView draws a progress bar per sending.
type barView struct {
	env      *environment
	writer   progress.Writer
	trackers map[campaign.ID]*progress.Tracker
	errors   map[campaign.ID]api.MessageError // the last error shown
	rendered chan struct{}                    // closed after the last frame
}

func newBarView(env *environment) *barView {
	w := progress.NewWriter()
	w.SetOutputWriter(env.out)
	w.SetAutoStop(false)
	w.SetUpdateFrequency(250 * time.Millisecond)
	w.SetTrackerPosition(progress.PositionRight)
	w.SetTerminalWidth(env.width)
	message, bar, value := barLengths(env.width)
	w.SetMessageLength(message)
	w.SetTrackerLength(bar)
	w.SetSortBy(progress.SortByNone)
	style := progress.StyleBlocks
	if !env.color {
		style.Colors = progress.StyleColors{}
	}
	style.Visibility.ETA = false // the message shows the daemon's estimate
	style.Visibility.Time = false
	style.Visibility.Value = value
	style.Options.PercentFormat = "%4.1f%%"
	w.SetStyle(style)
	v := &barView{env: env, writer: w, trackers: map[campaign.ID]*progress.Tracker{}, errors: map[campaign.ID]api.MessageError{}, rendered: make(chan struct{})}
	go func() {
		defer close(v.rendered)
		w.Render()
	}()
	return v
}

// barLengths splits a line of width characters (0: unknown) between text and bar, and
// reports whether the number of messages fits, too. On a narrow terminal the text is cut.
func barLengths(width int) (message, bar int, value bool) {
	const (
		words, wide, narrow = 60, 24, 12
		percent             = len(" ... 100.0% ")
		number              = len(" [10,000,000]")
	)
	if width == 0 || width >= words+percent+wide+number {
		return words, wide, true
	}
	return max(min(words, width-percent-narrow), 1), narrow, false
}

func (v *barView) show(s api.Sending, _ bool) error {
	t, known := v.trackers[s.ID]
	if !known {
		t = &progress.Tracker{Message: v.env.barMessage(s), Total: max(int64(s.Messages.Planned), 1), AutoStopDisabled: true}
		v.trackers[s.ID] = t
		v.writer.AppendTracker(t)
	}
	t.UpdateMessage(v.env.barMessage(s))
	t.UpdateTotal(max(int64(s.Messages.Planned), 1))
	t.SetValue(int64(s.Messages.Final()))
	if e := s.LastError; e != nil && v.errors[s.ID] != *e {
		v.errors[s.ID] = *e
		v.writer.Log("%s", printable(fmt.Sprintf("%s %s line %d: %s", v.env.instant(e.At), s.ID, e.Line, e.Error)))
	}
	if s.State.Final() {
		if s.State == campaign.StateCompleted {
			t.MarkAsDone()
		} else {
			t.MarkAsErrored()
		}
		v.writer.Log("%s", printable(v.env.progressLine(s)))
		delete(v.trackers, s.ID)
		delete(v.errors, s.ID)
	}
	return nil
}

// end stops drawing and waits for the last frame. The library ignores a Stop
// before its first frame, so end repeats it until drawing has ended.
func (v *barView) end() {
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		v.writer.Stop()
		select {
		case <-v.rendered:
			return
		case <-again.C:
		}
	}
}

func (env *environment) barMessage(s api.Sending) string {
	text := fmt.Sprintf("%s %s %s", s.ID, s.Name, s.State)
	if s.Rate > 0 {
		text += fmt.Sprintf(" %.1f/s", s.Rate)
	}
	if !s.EstimatedEnd.IsZero() {
		text += " until " + s.EstimatedEnd.In(env.zone).Format("15:04 MST")
	}
	return printable(text)
}
