package dashboard

import (
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
)

// get asks for a page as a browser does.
func get(d *Dashboard, method, path string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Accept", "text/html")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

func TestPages(t *testing.T) {
	s := newFakeDaemon()
	s.more = 40
	s.status = func(st *api.Status) {
		st.Stopping, st.ConfigProblem = true, "campaignd.toml:3: listen is wrong"
		st.Channels[1].State, st.Channels[1].Held, st.Channels[1].Reason, st.Channels[1].Since, st.Channels[1].NextTryAt = api.ChannelHeld, true, "the password is wrong", noon, noon
		st.Inboxes[0].Problem, st.Store.DiskFree = "the folder is gone", 1<<20
	}
	d := serve(t, s)
	for path, want := range map[string][]string{
		"/": {"spring", "100 of 1,000 messages sent", "7 failed", "8.0 a second", "8 rows rejected", "ends about", "reading its files", "40.0%", "nothing was sent",
			"dry run: nothing is sent", "75%", `aria-current="page">Sendings`, "Sendings · campaignd",
			// What every page says.
			"The daemon is stopping", "old configuration is in force. campaignd.toml:3: listen is wrong.", "Channel mail of application 2 is held. The password is wrong.",
			"Inbox inbox can&#39;t be used. The folder is gone.", "Only 1.0 MiB are free", "900 messages to send", "campaignd 1.2.3", "times in UTC", `href="#main"`},
		"/?state=scheduled":   {"sooner", "later", `aria-current="true"`, "Sendings: scheduled"},
		"/?state=paused":      {"No sending is paused."},
		"/?name=OLD-39":       {"old-39", "Search by name"},
		"/sendings/spring":    {"order 4711", "line 3, column 7", "is empty", "8 problems, the first 1 of them", "Warnings", "inbox/accepted/spring.", "tabs", "fragmentedSlots", "It waits: channel cloud_api is held: the token is revoked, since <time", "the receiver answered 500 (500), line 12 of the CSV", "pause</strong> by user:ada", "Rate over time", "peak 8.0 a second", "and 100 more", `id="dialog-cancel"`, `href="/sendings/20260314-000042/pause"`},
		"/sendings/42":        {"spring"},
		"/sendings/45":        {"report.txt lists what to fix"},
		"/sendings/trial":     {"report.json has the first messages as they would be sent"},
		"/sendings/42/cancel": {"Cancel this sending?", "890 messages will never be sent", `action="/sendings/20260314-000042/cancel"`},
		"/sendings/42/pause":  {"Pause this sending?"},
		"/timeline":           {"slots of 1 min for 100 messages", "1,000 messages reserved by spring, 20260313-000001, n0, n1, n2 and 4 more", "900 messages in 10 slots", "not sliced", "Nothing is planned.", `class="closed"`, `class="now"`, "and 4 more</title>", "500 of 500"},
		"/channels":           {"at most 80 a second, reduced to 40 a second", "no limit", "since <time", "next try at <time", "campaignd resume --channel mail --application 2", "The password is wrong."},
		"/inboxes":            {"Its layout must still come", "Waiting drops", "1 drop", "The folder is gone."},
		"/login":              {`name="token"`, `action="/login"`, "<label"},
		"/login?wrong=1":      {"Wrong token", `aria-invalid="true"`},
		"/login?expired=1":    {"campaignd dashboard", "ten minutes are over"},
	} {
		w := get(d, "GET", path)
		body := w.Body.String()
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", path, w.Code, body)
		}
		for _, part := range want {
			if !strings.Contains(body, part) {
				t.Errorf("%s lacks %q", path, part)
			}
		}
		switch h := w.Header(); {
		case h.Get("Content-Security-Policy") != policy:
			t.Errorf("%s: h.Get(\"Content-Security-Policy\") = %q, want %q", path, h.Get("Content-Security-Policy"), policy)
		case h.Get("Content-Type") != "text/html; charset=utf-8":
			t.Errorf("%s: h.Get(\"Content-Type\") = %q, want \"text/html; charset=utf-8\"", path, h.Get("Content-Type"))
		}
		checkPolicy(t, path, body)
	}
	body := get(d, "GET", "/").Body.String()
	if sooner, later := strings.Index(body, ">sooner<"), strings.Index(body, ">later<"); sooner > later {
		t.Errorf("what is due sooner is at %d, want it before what is due later, at %d", sooner, later)
	}
	if moves, due := strings.Index(body, ">spring<"), strings.Index(body, ">sooner<"); moves > due {
		t.Errorf("what moves is at %d, want it before what is due, at %d", moves, due)
	}
}

var (
	inline  = regexp.MustCompile(`(?i)\s(on[a-z]+|style)=|<style|javascript:`)
	address = regexp.MustCompile(`(?:href|src|action|content="0;url)="?([^"\s>]*)`)
	scripts = regexp.MustCompile(`<script[^>]*>`)
)

// safe fails the test for what a strict policy would stop, what leads elsewhere,
// a name that became markup, or a contact.
func checkPolicy(t *testing.T, path, body string) {
	t.Helper()
	if found := inline.FindString(body); found != "" {
		t.Errorf("%s has something inline: %q", path, found)
	}
	for _, m := range address.FindAllStringSubmatch(body, -1) {
		inside := strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "//") || strings.HasPrefix(m[1], "#")
		if !inside {
			t.Errorf("%s: got a link to %q, want only links within the dashboard", path, m[1])
		}
	}
	for _, tag := range scripts.FindAllString(body, -1) {
		if !strings.HasPrefix(tag, `<script src="/assets/`) {
			t.Errorf("%s has %s", path, tag)
		}
	}
	if strings.Contains(body, "alert(1)</script>") {
		t.Errorf("%s: want no \"alert(1)</script>\" in:\n%s", path, body)
	}
	if strings.Contains(body, secretContact) {
		t.Errorf("%s: want no %q in:\n%s", path, secretContact, body)
	}
	if strings.Contains(body, "ZgotmplZ") {
		t.Errorf("%s: want no \"ZgotmplZ\" in:\n%s", path, body)
	}
	if strings.Contains(body, "%!") {
		t.Errorf("%s: want no \"%%!\" in:\n%s", path, body)
	}
	if strings.Contains(body, "<no value>") {
		t.Errorf("%s: want no \"<no value>\" in:\n%s", path, body)
	}
}

func TestErrorsArePages(t *testing.T) {
	s := newFakeDaemon()
	d := serve(t, s)
	for path, want := range map[string]struct {
		status int
		part   string
	}{
		"/nothing":            {404, "There is no page"},
		"/?state=asleep":      {404, "There is no state"},
		"/sendings/winter":    {404, "No sending has the id or the name"},
		"/sendings/42/frob":   {404, "There is no page"},
		"/sendings/45/cancel": {409, `href="/sendings/45"`},
	} {
		w := get(d, "GET", path)
		if w.Code != want.status {
			t.Errorf("%s: w.Code = %v, want %v", path, w.Code, want.status)
		}
		if !strings.Contains(w.Body.String(), want.part) {
			t.Errorf("%s: want %q in:\n%s", path, want.part, w.Body.String())
		}
		checkPolicy(t, path, w.Body.String())
	}
	d.cache.clear()
	s.change(func() { s.fail = errors.New("the disk is on fire") })
	for _, path := range []string{"/", "/sendings/42", "/sendings/42/cancel", "/timeline", "/channels", "/inboxes"} {
		switch w := get(d, "GET", path); {
		case w.Code != 500:
			t.Errorf("%s: w.Code = %v, want 500", path, w.Code)
		case !strings.Contains(w.Body.String(), "the disk is on fire"):
			t.Errorf("%s: want \"the disk is on fire\" in:\n%s", path, w.Body.String())
		}
	}
	for code, part := range map[api.Code]string{api.CodeHost: "Not allowed", api.CodeTooLarge: "Not understood", api.CodeUnavailable: "Not now"} {
		w := httptest.NewRecorder()
		d.WriteError(w, httptest.NewRequest("POST", "/", nil), &api.Error{Code: code, Message: "no"})
		if w.Code != code.Status() {
			t.Errorf("%s: w.Code = %v, want %v", code, w.Code, code.Status())
		}
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("%s: want %q in:\n%s", code, part, w.Body.String())
		}
	}
}

func TestNoLogin(t *testing.T) {
	d := serve(t, newFakeDaemon())
	no := &api.Error{Code: api.CodeUnauthorized, Message: "the token is missing"}
	w := httptest.NewRecorder()
	d.WriteError(w, httptest.NewRequest("GET", "/sendings/42?a=b", nil), no)
	if w.Code != 303 {
		t.Errorf("w.Code = %v, want 303", w.Code)
	}
	if w.Header().Get("Location") != "/login?next=%2Fsendings%2F42%3Fa%3Db" {
		t.Errorf("Location = %q, want \"/login?next=%%2Fsendings%%2F42%%3Fa%%3Db\"", w.Header().Get("Location"))
	}
	// A link on another site: the cookie comes only when the browser asks again from here.
	r := httptest.NewRequest("GET", `/sendings/42?"><script>`, nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w = httptest.NewRecorder()
	d.WriteError(w, r, no)
	if w.Code != 200 {
		t.Errorf("w.Code = %v, want 200", w.Code)
	}
	if !strings.Contains(w.Body.String(), `http-equiv="refresh" content="0;url=/sendings/42`) {
		t.Errorf("want `http-equiv=\"refresh\" content=\"0;url=/sendings/42` in:\n%s", w.Body.String())
	}
	if strings.Contains(w.Body.String(), `"><script>`) {
		t.Errorf("want no `\"><script>` in:\n%s", w.Body.String())
	}
	w = httptest.NewRecorder()
	d.WriteError(w, httptest.NewRequest("POST", "/sendings/42/cancel", nil), no)
	if w.Code != 401 {
		t.Errorf("a form without a token: %d", w.Code)
	}
}

func TestChanges(t *testing.T) {
	s := newFakeDaemon()
	d := serve(t, s)
	for _, c := range []struct{ verb, flash string }{{"pause", "Paused. 3 messages in flight couldn&#39;t be stopped."}, {"resume", "Resumed."}, {"cancel", "It is being canceled. 3 messages in flight couldn&#39;t be stopped."}} {
		w := get(d, "POST", "/sendings/20260314-000042/"+c.verb)
		to := w.Header().Get("Location")
		if w.Code != 303 {
			t.Fatalf("%s: w.Code = %v, want 303", c.verb, w.Code)
		}
		if to != "/sendings/20260314-000042?did="+c.verb+"&flight=3" {
			t.Fatalf("%s: to = %q, want %q", c.verb, to, "/sendings/20260314-000042?did="+c.verb+"&flight=3")
		}
		if body := get(d, "GET", to).Body.String(); !strings.Contains(body, c.flash) {
			t.Errorf("%s: want %q in:\n%s", c.verb, c.flash, body)
		}
		if last := s.calls[len(s.calls)-1]; last != c.verb+" 20260314-000042 by " {
			t.Errorf("called with %q", last)
		}
	}
	s.change(func() { s.state = campaign.StateCanceled })
	d.cache.clear()
	body := get(d, "GET", "/sendings/20260314-000042?did=pause&flight=99").Body.String()
	if strings.Contains(body, "Paused") {
		t.Errorf("a canceled sending was paused by its address, or can still be changed: want no \"Paused\" in:\n%s", body)
	}
	if strings.Contains(body, "<dialog") {
		t.Errorf("a canceled sending was paused by its address, or can still be changed: want no \"<dialog\" in:\n%s", body)
	}
	if strings.Contains(body, "data-dialog") {
		t.Errorf("a canceled sending was paused by its address, or can still be changed: want no \"data-dialog\" in:\n%s", body)
	}
	calls := len(s.calls)
	for _, path := range []string{"/sendings/42/cancel", "/sendings/spring/cancel", "/sendings/20260314-000042/delete", "/sendings/20260314-000042", "/"} {
		if w := get(d, "POST", path); w.Code != 404 {
			t.Errorf("POST %s: %d", path, w.Code)
		}
	}
	if len(s.calls) != calls {
		t.Errorf("something was done: %v", s.calls[calls:])
	}
	s.change(func() { s.fail = api.Conflictf("can't cancel sending 20260314-000042: it is canceled") })
	switch w := get(d, "POST", "/sendings/20260314-000042/cancel"); {
	case w.Code != 409:
		t.Errorf("w.Code = %v, want 409", w.Code)
	case !strings.Contains(w.Body.String(), "Can&#39;t cancel sending 20260314-000042: it is canceled."):
		t.Errorf("want \"Can&#39;t cancel sending 20260314-000042: it is canceled.\" in:\n%s", w.Body.String())
	}
}

func TestAllowed(t *testing.T) {
	for state, want := range map[campaign.State]string{
		campaign.StateChecking: "", campaign.StateScheduled: "pause cancel", campaign.StateSending: "pause cancel", campaign.StatePaused: "resume cancel",
		campaign.StateHeld: "resume cancel", campaign.StateCompleted: "", campaign.StateCanceled: "", campaign.StateRejected: "",
	} {
		var got []string
		for _, verb := range append(verbs(), "delete") {
			if allowed(verb, state) {
				got = append(got, verb)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s allows %v, want %q", state, got, want)
		}
	}
}

func TestAssets(t *testing.T) {
	d := serve(t, newFakeDaemon())
	for _, name := range []string{"dashboard.css", "dashboard.js", "icon.svg"} {
		path, err := d.assets.path(name)
		if err != nil {
			t.Fatal(err)
		}
		w := get(d, "GET", path)
		switch {
		case w.Code != 200:
			t.Errorf("%s: w.Code: got %v, want 200", path, w.Code)
		case w.Body.Len() == 0:
			t.Errorf("%s: w.Body.Len(): got 0", path)
		case !strings.Contains(w.Header().Get("Cache-Control"), "immutable"):
			t.Errorf(`%s: w.Header().Get("Cache-Control"): got %q, want "immutable" in it`, path, w.Header().Get("Cache-Control"))
		case w.Header().Get("Content-Type") == "":
			t.Errorf(`%s: w.Header().Get("Content-Type"): got ""`, path)
		}
		// Nothing of them may come from elsewhere.
		switch body := w.Body.String(); {
		case strings.Contains(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""), "://"):
			t.Errorf("%s: want no \"://\" in:\n%s", name, strings.ReplaceAll(body, "http://www.w3.org/2000/svg", ""))
		case strings.Contains(body, "@import"):
			t.Errorf("%s: want no \"@import\" in:\n%s", name, body)
		case strings.Contains(body, "eval("):
			t.Errorf("%s: want no \"eval(\" in:\n%s", name, body)
		}
		if w := get(d, "GET", "/assets/000000/"+name); w.Code != 404 {
			t.Errorf("%s by an old address: %d", name, w.Code)
		}
	}
	if w := get(d, "GET", "/assets/../dashboard.go"); w.Code == 200 {
		t.Error("another file is served")
	}
	if _, err := d.assets.path("nothing.css"); err == nil {
		t.Error("an address of nothing")
	}
}

func TestPagesAreRememberedForAMoment(t *testing.T) {
	s := newFakeDaemon()
	d := serve(t, s)
	for range 5 {
		get(d, "GET", "/")
	}
	if s.looks > 4 { // two lists, and time for a slow machine
		t.Errorf("five looks at a page asked the daemon %d times", s.looks)
	}
}

// TestTenThousandSendingsAreShownInPages: a partner with many drops can't make the dashboard large.
func TestTenThousandSendingsAreShownInPages(t *testing.T) {
	s := newFakeDaemon()
	s.pending = 10000
	d := serve(t, s)
	body := get(d, "GET", "/").Body.String()
	if len(body) >= 100_000 {
		t.Errorf("the page has %d bytes, want less than 100,000", len(body))
	}
	if !strings.Contains(body, `data-name="spring"`) {
		t.Error("the sending under way isn't on the first page")
	}
	if !strings.Contains(body, `href="/?page=2"`) {
		t.Error("there is no next page")
	}
	switch second := get(d, "GET", "/?page=2").Body.String(); {
	case !strings.Contains(second, `rel="prev"`):
		t.Errorf("the second page lacks its sendings: second = %q, want `rel=\"prev\"` in it", second)
	case !strings.Contains(second, "pending-"):
		t.Errorf("the second page lacks its sendings: second = %q, want \"pending-\" in it", second)
	}
	if found := get(d, "GET", "/?name=PENDING-9999").Body.String(); strings.Count(found, `data-name="pending-`) != 1 {
		t.Errorf("the search found %d sendings, want 1", strings.Count(found, `data-name="pending-`))
	}
}

// The page of channels lists the workers, and counts the places of a channel that they send.
func TestWorkersAreListedWithTheirChannels(t *testing.T) {
	s := newFakeDaemon()
	places := 16
	s.status = func(st *api.Status) {
		st.Channels = []api.Channel{{ApplicationID: 1, ChannelType: "cloud_api", Concurrency: 8, InFlight: 9, Workers: &places, State: api.ChannelOK}}
		st.Cluster = &api.Cluster{Server: "nats://n", Workers: []api.ClusterWorker{{ID: "m1-abc", Host: "m1", Version: "1.2", Offset: 1.25, Since: noon,
			Channels: []api.WorkerChannel{{ApplicationID: 1, ChannelType: "cloud_api", InFlight: 5, Places: 8}, {ApplicationID: 1, ChannelType: "mail", Places: 8, Reason: "no password"}}}}}
	}
	page := get(serve(t, s), "GET", "/channels").Body.String()
	for _, want := range []string{"9 of 16", "<h2>Workers</h2>", "m1-abc", "m1, version 1.2", "5 of 8 in flight", "No password.", "1.2 s from that of NATS"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page of channels has no %q", want)
		}
	}
	s.status = func(st *api.Status) { st.Cluster = &api.Cluster{} }
	if page := get(serve(t, s), "GET", "/channels").Body.String(); !strings.Contains(page, "No worker runs.") {
		t.Error("the page of channels doesn't say that no worker runs")
	}
}

func TestEveryPageSaysWhoFollowsTheHub(t *testing.T) {
	for want, r := range map[string]api.Replication{
		"hub, standby: none follows":                      {},
		"hub, standby: b2 fetches the store":              {Standby: "b2"},
		"hub, standby: b2 follows":                        {Standby: "b2", Ready: true, Lag: 0.4},
		"hub, standby: b2 is 12 s behind":                 {Standby: "b2", Ready: true, Lag: 12.3},
		"doesn't reach its standby. NATS doesn't answer.": {Problem: "NATS doesn't answer"},
	} {
		s := newFakeDaemon()
		s.status = func(status *api.Status) { status.Cluster = &api.Cluster{Role: api.RoleHub, Replication: &r} }
		if body := html.UnescapeString(get(serve(t, s), "GET", "/timeline").Body.String()); !strings.Contains(body, want) {
			t.Errorf("the page of %+v lacks %q", r, want)
		}
	}
	if body := get(serve(t, newFakeDaemon()), "GET", "/").Body.String(); strings.Contains(body, "standby") {
		t.Error("a page without [standby] speaks of one")
	}
}
