//go:build browser

// Package browser tests the dashboard in a real Chromium against a real
// daemon: every page, a live update, a cancel, a login, an empty console and
// no request to another host. It saves screenshots in var/screenshots.
package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is the longest wait for a page to show something.
const patience = 60 * time.Second

// browser is one Chromium with its errors.
type browser struct {
	context.Context
	mu    sync.Mutex // guards the fields below
	wrong []string
	hosts map[string]bool
}

func open(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here: make test-browser installs Debian's where it can")
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]),
		chromedp.ExecPath(path), chromedp.Flag("headless", "new"), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.UserDataDir(t.TempDir()), chromedp.Env("TZ=Europe/Madrid"), chromedp.WSURLReadTimeout(patience))
	allocator, endAllocator := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(endAllocator)
	b := &browser{hosts: map[string]bool{}}
	ctx, end := chromedp.NewContext(allocator, chromedp.WithListener(b.note))
	t.Cleanup(end)
	b.Context = ctx
	// The browser lives as long as its first context.
	if err := chromedp.Do(ctx, call(network.Enable, network.EnableParams{}), call(runtime.Enable, cdp.Empty{}), call(log.Enable, cdp.Empty{})); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	return b
}

// call wraps a protocol command as a step.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, command, params)
		return err
	})
}

// note records events that must not happen.
func (b *browser) note(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventConsoleAPICalled:
		var said []string
		for _, arg := range e.Args {
			said = append(said, string(arg.Value))
		}
		b.wrong = append(b.wrong, "console: "+strings.Join(said, " "))
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "exception: "+e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.wrong = append(b.wrong, fmt.Sprintf("%s: %s (%s)", e.Entry.Level, e.Entry.Text, e.Entry.URL))
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err == nil && (u.Scheme == "http" || u.Scheme == "https" || u.Scheme == "ws" || u.Scheme == "wss") {
			b.hosts[u.Host] = true
		}
	}
}

// clean fails the test for recorded events.
func (b *browser) clean(t *testing.T, host string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.wrong {
		t.Errorf("the browser reports: %s", w)
	}
	for h := range b.hosts {
		if h != host {
			t.Errorf("a request went to %s", h)
		}
	}
	if len(b.hosts) == 0 {
		t.Error("the browser made no request")
	}
}

type step = chromedp.Action[chromedp.Void]

func (b *browser) do(t *testing.T, what string, steps ...step) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.Context, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		page, _ := chromedp.Run(b.Context, chromedp.Text(chromedp.CSS("body")))
		t.Fatalf("%s: %v\nthe page says:\n%s", what, err, page)
	}
}

// ask returns the value of a JavaScript expression.
func ask[T any](t *testing.T, b *browser, expression string) T {
	t.Helper()
	value, err := chromedp.Run(b.Context, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// await waits until a JavaScript expression is true, across page loads.
func await(expression string) step {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		every := time.NewTicker(100 * time.Millisecond)
		defer every.Stop()
		for {
			is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
			if err == nil && is {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for %s: %w", expression, errors.Join(ctx.Err(), err))
			case <-every.C:
			}
		}
	})
}

func click(selector string) step { return chromedp.Click(chromedp.CSS(selector)) }

// contains returns an expression that tests whether an element contains a text.
func contains(selector, text string) string {
	return fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))", selector, text)
}

// shoot takes screenshots of the page, light and dark, wide and as narrow as a phone.
func (b *browser) shoot(t *testing.T, name string) {
	t.Helper()
	folder := filepath.Join("..", "..", "var", "screenshots")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, scheme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			b.do(t, "shoot "+name,
				call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
				metrics(width))
			overflow := ask[bool](t, b, "document.documentElement.scrollWidth > innerWidth")
			png, err := chromedp.Run(b.Context, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if overflow {
				t.Errorf("%s: wider than the window of %d", name, width)
			}
			file := filepath.Join(folder, fmt.Sprintf("%s-%s-%d.png", name, scheme, width))
			if err := os.WriteFile(file, png, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.do(t, "widen", metrics(1280))
}

func metrics(width int64) step {
	return call(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1, Mobile: width < 500})
}

// noContacts fails the test if the page shows a contact.
func (b *browser) noContacts(t *testing.T, page string) {
	t.Helper()
	html := ask[string](t, b, "document.documentElement.outerHTML")
	if strings.Contains(html, fmt.Sprint(contact)[:5]) || strings.Contains(html, "Ada ") {
		t.Errorf("%s shows contact data", page)
	}
}

func TestDashboard(t *testing.T) {
	b, w := open(t), start(t, "")
	host := strings.TrimPrefix(w.url, "http://")

	b.do(t, "a daemon with nothing to do", chromedp.Navigate(w.login(t)), await(contains("main", "Nothing is under way")), await(contains("#live", "Live")))
	b.shoot(t, "empty")

	w.fill(t)
	b.do(t, "drops show up by themselves",
		await(contains("[data-region=under] .row", "flash-offer")), await(contains("[data-region=under] .row", "members-only")),
		await(contains("[data-region=over] .row", "welcome")), await(contains("[data-region=over] .row", "broken")),
		await(contains(".notices", "partner_hook")))

	// A bar moves without a reload.
	ask[bool](t, b, `window.stays = true; window.first = Number([...document.querySelectorAll(".row")].find(e => e.dataset.name === "flash-offer").querySelector(".bar").ariaValueNow); true`)
	b.do(t, "the bar moves", await(`window.stays && Number([...document.querySelectorAll(".row")].find(e => e.dataset.name === "flash-offer").querySelector(".bar").ariaValueNow) > window.first + 3`))
	b.noContacts(t, "the list")
	b.shoot(t, "sendings")

	b.do(t, "filter by state", click(`.filter a[href*=rejected]`), await(contains("main", "broken")),
		await(`!`+contains("main", "flash-offer")), await(`document.querySelector(".filter [aria-current]").innerText.includes("Rejected")`))
	b.shoot(t, "filter")

	b.do(t, "the timeline", chromedp.Navigate(w.url+"/timeline"), await(`document.querySelectorAll(".cells rect.c0").length > 5`), await(contains(".slot-users", "autumn")), await(contains("#live", "Live")))
	b.noContacts(t, "the timeline")
	b.shoot(t, "timeline")

	b.do(t, "channels", chromedp.Navigate(w.url+"/channels"), await(contains("main", "check the channel")), await(contains("#live", "Live")))
	b.shoot(t, "channels")
	b.do(t, "inboxes", chromedp.Navigate(w.url+"/inboxes"), await(contains("main", "half-a-drop")), await(contains("#live", "Live")))
	b.shoot(t, "inboxes")

	b.do(t, "a rejected drop", chromedp.Navigate(w.url+"/sendings/broken"), await(contains("#problems", "telephone")), await(contains("#live", "Live")))
	b.shoot(t, "rejected")
	b.do(t, "rows rejected", chromedp.Navigate(w.url+"/sendings/welcome"), await(contains("#problems", "line 2")), await(contains("#facts", "order 4711")), await(contains("#live", "Live")))
	b.noContacts(t, "a sending with rejected rows")
	b.shoot(t, "completed")
	b.do(t, "a sliced one", chromedp.Navigate(w.url+"/sendings/check-ups"), await(`document.querySelectorAll("#charts rect").length > 50`), await(contains("#live", "Live")))
	b.shoot(t, "sliced")

	b.cancels(t, w)
	b.do(t, "no such page", chromedp.Navigate(w.url+"/sendings/"), await(contains("main", "Go back")))
	b.shoot(t, "sorry")
	b.mu.Lock()
	b.wrong = slices.DeleteFunc(b.wrong, func(w string) bool { return strings.Contains(w, "404") && strings.Contains(w, "/sendings/)") }) // the test asked for it
	b.mu.Unlock()
	b.clean(t, host)
}

// cancels pauses, resumes and cancels as a person would, also with the keyboard.
func (b *browser) cancels(t *testing.T, w *world) {
	t.Helper()
	state := func(s string) step {
		return await(fmt.Sprintf(`document.getElementById("top").dataset.state === %q`, s))
	}
	dialog := func(open bool) step {
		return await(fmt.Sprintf(`!!document.querySelector("dialog[open]") === %t`, open))
	}
	b.do(t, "a sending under way", chromedp.Navigate(w.url+"/sendings/flash-offer"), state("sending"), await(contains("#charts", "Rate over time")), await(contains("#live", "Live")))
	b.shoot(t, "sending")
	b.do(t, "think better of it", click(`[data-dialog=dialog-cancel]`), dialog(true),
		await(`document.activeElement.hasAttribute("data-close")`), chromedp.KeyEvent("\r"), dialog(false), state("sending"))
	b.do(t, "pause", click(`[data-dialog=dialog-pause]`), dialog(true),
		click(`#dialog-pause .first`), await(contains(".flash", "Paused.")), state("paused"))
	b.do(t, "resume", click(`[data-dialog=dialog-resume]`), dialog(true),
		click(`#dialog-resume .first`), await(contains(".flash", "Resumed.")), state("sending"))
	b.do(t, "cancel", click(`[data-dialog=dialog-cancel]`), dialog(true))
	b.shoot(t, "confirm")
	b.do(t, "cancel it", click(`#dialog-cancel .danger`), await(contains(".flash", "Canceled.")), state("canceled"),
		await(contains("#trail", "cancel by web:login")), await(`!document.querySelector(".actions")`))
	b.shoot(t, "canceled")
	b.noContacts(t, "a canceled sending")
}

// TestLogin logs in with a token and out again.
func TestLogin(t *testing.T) {
	const token = "a-token-that-is-long-enough"
	b, w := open(t), start(t, token)
	host := strings.TrimPrefix(w.url, "http://")
	address := func(want string) step { return await(fmt.Sprintf("location.href === %q", w.url+want)) }
	b.do(t, "a page wants the token", chromedp.Navigate(w.url+"/timeline"), address("/login?next=%2Ftimeline"), await(`document.activeElement.id === "token"`))
	b.shoot(t, "login")
	b.do(t, "a wrong one", chromedp.SendKeys(chromedp.CSS("#token"), "not-the-token-at-all\r"), await(contains("#wrong", "Wrong token")))
	b.shoot(t, "login-wrong")
	b.do(t, "the right one", chromedp.SendKeys(chromedp.CSS("#token"), token+"\r"), address("/timeline"), await(contains("#live", "Live")))
	if cookie := ask[string](t, b, "document.cookie"); strings.Contains(cookie, "session") {
		t.Errorf("a script can read the cookie %q", cookie)
	}
	b.do(t, "log out", click(".out button"), address("/login"), chromedp.Navigate(w.url+"/channels"), address("/login?next=%2Fchannels"))
	b.clean(t, host)
}
