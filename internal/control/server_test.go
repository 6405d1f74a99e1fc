package control_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

// start runs a server until the test ends and returns its socket and web address.
func start(t *testing.T, service control.Service, opts control.Options) (socket, web string) {
	t.Helper()
	if opts.Socket == "" {
		opts.Socket = filepath.Join(t.TempDir(), "campaignd.sock")
	}
	if opts.Listen != "" && opts.TokenFile == "" && opts.StateToken == "" {
		opts.StateToken = tokenFile(t, token)
	}
	ctx, cancel := context.WithCancel(t.Context())
	listening, ended := make(chan string, 1), make(chan error, 1)
	opts.OnListen = func(_, web string) { listening <- web }
	go func() { ended <- control.New(service, opts).Run(ctx) }()
	select {
	case web = <-listening:
	case err := <-ended:
		cancel()
		t.Fatalf("Run: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if _, err := os.Lstat(opts.Socket); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket is still there: %v", err)
		}
	})
	return opts.Socket, web
}

func dial(t *testing.T, socket string) *control.Client {
	t.Helper()
	c, err := control.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// me returns the name under which the audit trail lists the test's user.
func currentUser(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Skipf("who am I: %v", err)
	}
	return "user:" + u.Username
}

// must returns a function that fails the test on an error and returns the value otherwise.
func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return v
	}
}

func TestEveryCall(t *testing.T) {
	f := &fake{}
	socket, _ := start(t, f, control.Options{})
	c, ctx, by, digest := dial(t, socket), t.Context(), currentUser(t), strings.Repeat("0a", 32)
	outcomes := []campaign.Outcome{campaign.Failed, campaign.Unknown}
	again := []api.ResendOutcome{api.ResendFailed, api.ResendUnknown}
	list := []api.OptOut{{ContactCode: "1"}}
	var out bytes.Buffer

	for _, test := range []struct {
		name     string
		do       func() any
		want     any
		wantCall string
	}{
		{"sendings", func() any {
			return must[[]api.Sending](t)(c.Sendings(ctx, api.Filter{States: []campaign.State{"paused", "held"}, Application: 1, Limit: 5}))
		}, []api.Sending{{Drop: api.Drop{ID: theID, Name: "spring", State: campaign.StateSending}}}, "sendings [paused held] 1 5"},
		{"no sendings", func() any {
			return must[[]api.Sending](t)(c.Sendings(ctx, api.Filter{Application: 404}))
		}, []api.Sending{}, "sendings [] 404 0"},
		{"sending by name", func() any { return must[api.Details](t)(c.Sending(ctx, "spring")).ID }, theID, "sending " + string(theID)},
		{"sending by number", func() any { return must[api.Details](t)(c.Sending(ctx, "42")).Slices }, []api.Slice{}, "sending " + string(theID)},
		{"a name that looks like a path", func() any { return must[api.Details](t)(c.Sending(ctx, "a b/c%?#")).ID }, campaign.ID("20260314-000043"), "sending 20260314-000043"},
		{"pause", func() any { return must[api.Change](t)(c.Pause(ctx, "spring")).InFlight }, uint64(3), "pause " + string(theID) + " by " + by},
		{"resume", func() any { return must[api.Change](t)(c.Resume(ctx, "spring")).State }, campaign.StateSending, "resume " + string(theID) + " by " + by},
		{"cancel", func() any { return must[api.Change](t)(c.Cancel(ctx, "spring")).Canceling }, true, "cancel " + string(theID) + " by " + by},
		{"resume all", func() any { return must[[]api.Change](t)(c.ResumeAll(ctx)) }, []api.Change{}, "resume all by " + by},
		{"reschedule", func() any {
			return must[api.Rescheduled](t)(c.Reschedule(ctx, "42", api.NewTime{Delay: "PT2H"})).Slices
		}, []api.Slice{}, "reschedule " + string(theID) + " to PT2H by " + by},
		{"resend", func() any { return must[api.Resent](t)(c.Resend(ctx, "42", again, true)) },
			api.Resent{ID: theID, Name: "spring", State: campaign.StateSending, Messages: 7, Failed: 7, DryRun: true}, "resend " + string(theID) + " [failed unknown] true by " + by},
		{"results", func() any {
			out.Reset()
			return must[string](t)(out.String(), c.Results(ctx, "42", api.ResultsFilter{Outcomes: outcomes, Plain: true}, &out)) + out.String()
		}, "line,contactCode\n2,34666\n", "results " + string(theID) + " [failed unknown] true"},
		{"timeline", func() any { return must[api.Timeline](t)(c.Timeline(ctx, 1, 50)).Applications[0].Slots }, []api.SlotUse{}, "timeline 1 50"},
		{"reserved", func() any { return must[api.Reservations](t)(c.Reserved(ctx, 1, noon, noon.Add(time.Hour))).Slots },
			[]api.Reservation{{Slot: 9, Reserved: 4}}, "reserved 1 2026-03-14T12:00:00Z 2026-03-14T13:00:00Z"},
		{"earlier", func() any { return must[api.EarlierDrop](t)(c.Earlier(ctx, 1, digest)).ID }, campaign.ID("20260313-000001"), "earlier 1 " + digest},
		{"suppress", func() any { return must[int](t)(c.AddOptOuts(ctx, list)) }, 1, "suppress 1 by " + by},
		{"unsuppress", func() any { return must[int](t)(c.RemoveOptOuts(ctx, list)) }, 2, "unsuppress 1 by " + by},
		{"forget", func() any { return must[api.Forgotten](t)(c.Forget(ctx, "34600000001")) },
			api.Forgotten{Suppressed: 2, Unknown: 1, Sendings: 3, Files: 5}, "forget 34600000001 by " + by},
		{"suppressed", func() any {
			n := 0
			return must[int](t)(0, c.OptOuts(ctx, 1, func(api.OptOut) error { n++; return nil })) + n
		}, 3, "suppressed 1"},
		{"none suppressed", func() any {
			return must[int](t)(0, c.OptOuts(ctx, 404, func(api.OptOut) error { return errors.New("there is one") }))
		}, 0, "suppressed 404"},
		{"import", func() any {
			return must[api.Imported](t)(c.ImportOptOuts(ctx, 1, strings.NewReader("contactCode\n1\n")))
		}, api.Imported{Rows: 2, Added: 1}, `import 1 "contactCode\n1\n" by ` + by},
		{"status", func() any { return must[api.Status](t)(c.Status(ctx)).Version }, "1.2.3", ""},
		{"doctor", func() any { return must[[]api.Finding](t)(c.Doctor(ctx, true))[0].Check }, "store", "doctor true"},
		{"audit", func() any { return must[[]api.AuditEntry](t)(c.Audit(ctx, noon, "spring", 9))[0].Who }, "user:ada", "audit 2026-03-14T12:00:00Z " + string(theID) + " 9"},
		{"backup", func() any {
			out.Reset()
			n := must[int64](t)(c.Backup(ctx, &out))
			return out.String()[:n]
		}, "the store", "backup"},
		{"compact", func() any { return must[api.Compacted](t)(c.Compact(ctx)).BytesAfter }, int64(4), "compact by " + by},
		{"handover", func() any { return must[api.Handover](t)(c.Handover(ctx)).To }, "b", "handover by " + by},
		{"reload", func() any { return must[bool](t)(true, c.Reload(ctx)) }, true, "reload by " + by},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.do()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if test.wantCall != "" && f.last() != test.wantCall {
				t.Errorf("the service was called with %q, want %q", f.last(), test.wantCall)
			}
		})
	}
}

// calls returns all calls of the client that can fail.
func calls(c *control.Client) map[string]func(context.Context) error {
	var out bytes.Buffer
	list := []api.OptOut{{ContactCode: "1"}}
	change := func(do func(context.Context, string) (api.Change, error)) func(context.Context) error {
		return func(ctx context.Context) error { _, err := do(ctx, "spring"); return err }
	}
	return map[string]func(context.Context) error{
		"sendings":   func(ctx context.Context) error { _, err := c.Sendings(ctx, api.Filter{}); return err },
		"sending":    func(ctx context.Context) error { _, err := c.Sending(ctx, "spring"); return err },
		"pause":      change(c.Pause),
		"resume":     change(c.Resume),
		"cancel":     change(c.Cancel),
		"resume all": func(ctx context.Context) error { _, err := c.ResumeAll(ctx); return err },
		"send-test": func(ctx context.Context) error {
			_, err := c.SendTest(ctx, api.TestMessage{ApplicationID: 1, ChannelType: "x", CampaignID: 1, ContactCode: "1", Message: 1})
			return err
		},
		"resend": func(ctx context.Context) error {
			_, err := c.Resend(ctx, "spring", []api.ResendOutcome{api.ResendFailed}, false)
			return err
		},
		"results":    func(ctx context.Context) error { return c.Results(ctx, "spring", api.ResultsFilter{}, &out) },
		"timeline":   func(ctx context.Context) error { _, err := c.Timeline(ctx, 0, 0); return err },
		"reserved":   func(ctx context.Context) error { _, err := c.Reserved(ctx, 1, noon, noon.Add(1)); return err },
		"earlier":    func(ctx context.Context) error { _, err := c.Earlier(ctx, 1, strings.Repeat("0a", 32)); return err },
		"suppress":   func(ctx context.Context) error { _, err := c.AddOptOuts(ctx, list); return err },
		"unsuppress": func(ctx context.Context) error { _, err := c.RemoveOptOuts(ctx, list); return err },
		"forget":     func(ctx context.Context) error { _, err := c.Forget(ctx, "1"); return err },
		"suppressed": func(ctx context.Context) error {
			return c.OptOuts(ctx, 0, func(api.OptOut) error { return nil })
		},
		"import": func(ctx context.Context) error {
			_, err := c.ImportOptOuts(ctx, 0, strings.NewReader("x"))
			return err
		},
		"status":    func(ctx context.Context) error { _, err := c.Status(ctx); return err },
		"doctor":    func(ctx context.Context) error { _, err := c.Doctor(ctx, false); return err },
		"templates": func(ctx context.Context) error { _, err := c.Templates(ctx, 1, "wa"); return err },
		"audit":     func(ctx context.Context) error { _, err := c.Audit(ctx, time.Time{}, "", 0); return err },
		"backup":    func(ctx context.Context) error { _, err := c.Backup(ctx, &out); return err },
		"compact":   func(ctx context.Context) error { _, err := c.Compact(ctx); return err },
		"handover":  func(ctx context.Context) error { _, err := c.Handover(ctx); return err },
		"reload":    func(ctx context.Context) error { return c.Reload(ctx) },
	}
}

func TestEveryCallPassesErrorsOn(t *testing.T) {
	f := &fake{}
	socket, _ := start(t, f, control.Options{})
	for name, call := range calls(dial(t, socket)) {
		f.fail = &api.Error{Code: api.CodeConflict, Message: "it is over", Problems: []campaign.Problem{{File: "a.toml", Line: 3, Message: "no"}}}
		got, ok := errors.AsType[*api.Error](call(t.Context()))
		switch {
		case !ok:
			t.Errorf("%s: got %#v, want the service's error", name, got)
		case cmp.Diff(f.fail, error(got)) != "":
			t.Errorf("%s: want no difference:\n%s", name, cmp.Diff(f.fail, error(got)))
		}
		f.fail = errors.New("the disk is on fire")
		switch err := call(t.Context()); {
		case api.CodeOf(err) != api.CodeInternal:
			t.Errorf("%s: api.CodeOf(err) = %q, want %q", name, api.CodeOf(err), api.CodeInternal)
		case !strings.Contains(err.Error(), "the disk is on fire"):
			t.Errorf("%s: err = %q, want \"the disk is on fire\" in it", name, err.Error())
		}
	}
}

func TestACutStreamIsNoWhole(t *testing.T) {
	socket, _ := start(t, &fake{broken: true}, control.Options{})
	c := dial(t, socket)
	for _, name := range []string{"results", "suppressed", "backup"} {
		if err := calls(c)[name](t.Context()); err == nil {
			t.Errorf("%s: a stream that broke in the middle was taken for a whole one", name)
		}
	}
}

func TestAnEndWaitsForRequests(t *testing.T) {
	f := &fake{block: make(chan struct{}), inside: make(chan struct{})}
	opts := control.Options{Socket: filepath.Join(t.TempDir(), "s")}
	listening := make(chan struct{})
	opts.OnListen = func(string, string) { close(listening) }
	ctx, cancel := context.WithCancel(t.Context())
	ended, answered := make(chan error, 1), make(chan error, 1)
	go func() { ended <- control.New(f, opts).Run(ctx) }()
	<-listening
	c := dial(t, opts.Socket)
	go func() {
		_, err := c.Status(t.Context())
		answered <- err
	}()
	<-f.inside
	cancel()
	close(f.block)
	if err := errors.Join(<-answered, <-ended); err != nil {
		t.Error(err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, control.ErrNoDaemon) {
		t.Errorf("after the end: got %v, want ErrNoDaemon", err)
	}
}

func TestDialSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, socket := range []string{filepath.Join(dir, "none.sock"), stale} {
		_, err := control.Dial(socket)
		want := "no daemon answers at " + socket + ": start it with `campaignd run`, or name its configuration with --config"
		if !errors.Is(err, control.ErrNoDaemon) {
			t.Fatalf("got %v, want %v", err, control.ErrNoDaemon)
		}
		if err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if _, err := control.Dial(filepath.Join(dir, strings.Repeat("long", 40))); err == nil || errors.Is(err, control.ErrNoDaemon) {
		t.Errorf("a path too long: got %v", err)
	}
}

func TestChangesAreRefusedWhileNothingCanBeRecorded(t *testing.T) {
	f := &fake{}
	socket, _ := start(t, f, control.Options{Bars: func() string { return "NATS is away" }})
	c := dial(t, socket)
	if _, err := c.Status(t.Context()); err != nil {
		t.Errorf("status: %v", err)
	}
	switch err := c.Reload(t.Context()); {
	case api.CodeOf(err) != api.CodeUnavailable:
		t.Errorf("reload: api.CodeOf(err) = %q, want %q", api.CodeOf(err), api.CodeUnavailable)
	case !strings.Contains(err.Error(), "NATS is away"):
		t.Errorf("reload: err = %q, want \"NATS is away\" in it", err.Error())
	}
}
