package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

func TestWatchOneUntilItIsOver(t *testing.T) {
	config := serve(t, &shop{})
	code, out, errs := command(t, config, "", "watch", "autumn")
	if want := "20260313-000040 autumn completed: 100.0%, 3 of 3 sent\n"; code != exitDone || out != want {
		t.Errorf("%d %q %s, want %q", code, out, errs, want)
	}
	switch code, out, _ := command(t, config, "", "watch", "autumn", "--json"); {
	case code != exitDone:
		t.Errorf("--json: code = %v, want %v", code, exitDone)
	case !strings.Contains(out, `"state":"completed"`):
		t.Errorf("--json: want `\"state\":\"completed\"` in:\n%s", out)
	case strings.Count(out, "\n") != 1:
		t.Errorf("--json: strings.Count(out, \"\\n\") = %v, want 1", strings.Count(out, "\n"))
	}
	if code, _, _ := command(t, config, "", "watch", "summer"); code != exitFailed {
		t.Errorf("a sending that isn't there: %d", code)
	}
}

// ending is a shop whose sending spring is over at the third look.
type ending struct {
	shop
	gone bool // it has been removed meanwhile
}

func (e *ending) Sendings(ctx context.Context, f api.Filter) ([]api.Sending, error) {
	list, err := e.shop.Sendings(ctx, f)
	if e.looks >= 3 {
		return nil, err
	}
	return list[:1], err
}

func (e *ending) Sending(ctx context.Context, id campaign.ID) (api.Details, error) {
	if e.gone {
		return api.Details{}, api.NotFoundf("it has been removed")
	}
	d, err := e.shop.Sending(ctx, id)
	d.State, d.Percent, d.EstimatedEnd = campaign.StateCompleted, 100, time.Time{}
	return d, err
}

// stopWriter ends the watching when what is written holds a text.
type stopWriter struct {
	mu   sync.Mutex // guards buf: the bars are drawn by a goroutine of their own
	buf  bytes.Buffer
	text string
	stop func()
}

func (w *stopWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if strings.Contains(w.buf.String(), w.text) {
		w.stop()
	}
	return len(p), nil
}

func (w *stopWriter) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

func TestWatchAll(t *testing.T) {
	config := serve(t, &ending{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopWriter{text: "completed", stop: cancel}
	code := run(ctx, []string{"--config", config, "watch", "--every", "100ms"}, strings.NewReader(""), out, out, func(string) string { return "" })
	want := "20260314-000042 spring sending: 30.0%, 3,500 of 12,000 sent, 80 failed, 20 unknown, 2.0/s, end 2026-03-14 13:10:00 UTC\n" +
		"20260314-000042 spring sending: 35.0%, 4,100 of 12,000 sent, 80 failed, 20 unknown, 2.0/s, end 2026-03-14 13:10:00 UTC\n" +
		"20260314-000042 spring completed: 3,500 of 12,000 sent, 80 failed, 20 unknown\n"
	if code != exitDone || out.String() != want {
		t.Errorf("%d\n%s\nwant\n%s", code, out, want)
	}
}

func TestWatchOnATerminal(t *testing.T) {
	config := serve(t, &ending{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &stopWriter{text: "completed", stop: cancel}
	env := newEnvironment(strings.NewReader(""), out, out, func(string) string { return "" })
	env.terminal, env.width = true, 100
	root := newRoot(env)
	root.SetArgs([]string{"--config", config, "watch", "--every", "100ms"})
	if code := env.end(root.ExecuteContext(ctx)); code != exitDone {
		t.Errorf("exit status %d", code)
	}
	for _, want := range []string{"20260314-000042 spring", "completed: 3,500 of 12,000 sent"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the terminal doesn't show %q:\n%q", want, out)
		}
	}
}

func TestWatchForgetsWhatIsRemoved(t *testing.T) {
	service := &ending{gone: true}
	config := serve(t, service)
	env := newEnvironment(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" })
	env.configFlag = config
	c, err := env.client()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w := &watcher{client: c, seen: map[campaign.ID]api.Sending{"20260314-000001": {}}}
	if _, err := w.poll(t.Context()); err != nil || len(w.seen) != 0 {
		t.Errorf("still seen: %v, %v", w.seen, err)
	}
}

// Bars whose drawing has hardly begun end all the same.
func TestBarsEndAtOnce(t *testing.T) {
	for range 50 {
		newBarView(&environment{out: &bytes.Buffer{}, width: 80}).end()
	}
}

// However narrow the terminal, percent and bar are on the line.
func TestBarLengthsFitTheTerminal(t *testing.T) {
	for _, width := range []int{0, 30, 60, 80, 108, 109, 200} {
		message, bar, value := barLengths(width)
		line := message + len(" ... 100.0% ") + bar
		if value {
			line += len(" [10,000,000]")
		}
		if width > 0 && line > width {
			t.Errorf("on %d characters: got a line of %d: %d of words, a bar of %d, the number %v", width, line, message, bar, value)
		}
		if message < 1 {
			t.Errorf("on %d characters: got %d of words, want some", width, message)
		}
		if want := width == 0 || width >= 109; value != want {
			t.Errorf("on %d characters: got the number %v, want %v", width, value, want)
		}
	}
}
