package dashboard

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A page that many look at is rendered once for all of them.
func TestManyViewersCostOneRendering(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := serve(t, newFakeDaemon())
		made := map[string]int{}
		page := d.page(func(r *http.Request, l viewer) (*view, error) {
			made[l.zone.String()+" "+r.URL.RequestURI()]++
			return d.sendings(r, l)
		})
		look := func(path, zone string) {
			r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
			r.AddCookie(&http.Cookie{Name: zoneCookie, Value: zone})
			w := httptest.NewRecorder()
			if page(w, r); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
		for range 20 {
			look("/", "Europe/Madrid")
			look("/?page=2", "Europe/Madrid")
			look("/", "Asia/Tokyo")
		}
		for _, what := range []string{"Europe/Madrid /", "Europe/Madrid /?page=2", "Asia/Tokyo /"} {
			if made[what] != 1 {
				t.Errorf("%s was made %d times, want once", what, made[what])
			}
		}
		time.Sleep(2 * maxAge)
		look("/", "Europe/Madrid")
		if n := made["Europe/Madrid /"]; n != 2 {
			t.Errorf("a later look made the page %d times in all, want 2", n)
		}
	})
}

// A part is rendered again only if its data has changed.
func TestUnchangedPartIsNotRenderedAgain(t *testing.T) {
	d := serve(t, newFakeDaemon())
	n := notice{ID: "a", Text: "first"}
	if _, err := d.part("notice-a", "notice", n); err != nil {
		t.Fatal(err)
	}
	d.parts.put("notice-a", n, "kept")
	if p, err := d.part("notice-a", "notice", notice{ID: "a", Text: "first"}); p.HTML != "kept" || err != nil {
		t.Errorf("an unchanged part is %q, %v; want what was rendered before", p.HTML, err)
	}
	if p, err := d.part("notice-a", "notice", notice{ID: "a", Text: "second"}); p.HTML == "kept" || err != nil {
		t.Errorf("a changed part is %q, %v; want it rendered again", p.HTML, err)
	}
}
