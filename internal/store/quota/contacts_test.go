package quota

import (
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"campaignd/internal/store/db"
)

func openAt(t *testing.T, path string) Counters {
	t.Helper()
	first := []byte("first")
	file, err := db.Open(path, db.Options{InitialMmapSize: 1 << 20}, db.Schema{Numbered: first, Migrations: []func(*bbolt.Tx) error{
		func(t *bbolt.Tx) error { _, err := t.CreateBucket(first); return err }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return Open(file)
}

func allow(t *testing.T, c *Contacts, contact string, at time.Time, want bool) time.Time {
	t.Helper()
	ok, next, err := c.Allow([]byte(contact), at)
	if err != nil || ok != want {
		t.Fatalf("contact %s at %v: %v, %v; want %v", contact, at, ok, err, want)
	}
	return next
}

func TestContactsMoveWithTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	q := openAt(t, path)
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	c := q.Contacts("number", 2)
	allow(t, c, "34600000001", start, true)
	allow(t, c, "34600000002", start.Add(time.Hour), true)
	if next := allow(t, c, "34600000003", start.Add(2*time.Hour), false); !next.Equal(start.Add(24 * time.Hour)) {
		t.Errorf("the next may go at %v", next)
	}
	allow(t, c, "34600000001", start.Add(2*time.Hour), true) // counts already, and now for longer
	if next := allow(t, c, "34600000003", start.Add(3*time.Hour), false); !next.Equal(start.Add(25 * time.Hour)) {
		t.Errorf("the next may go at %v", next)
	}
	allow(t, q.Contacts("other", 1), "34600000003", start.Add(3*time.Hour), true)
	if err := q.db.Close(); err != nil {
		t.Fatal(err)
	}
	q = openAt(t, path) // a restart keeps the count
	c = q.Contacts("number", 2)
	allow(t, c, "34600000003", start.Add(25*time.Hour), false)
	allow(t, c, "34600000003", start.Add(25*time.Hour+time.Minute), true)
	if next := allow(t, q.Contacts("number", 1), "34600000004", start.Add(25*time.Hour+time.Minute), false); !next.Equal(start.Add(49*time.Hour + time.Minute)) {
		t.Errorf("under a lower limit the next may go at %v", next)
	}
	if n, err := q.ForgetContacts(start.Add(72 * time.Hour)); n != 3 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	if n, err := q.ForgetContacts(start.Add(72 * time.Hour)); n != 0 || err != nil {
		t.Errorf("forgot %d more, %v", n, err)
	}
}

// TestContactsCounts: Counts gives the same answers as Allow, and counts nobody.
func TestContactsCounts(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "quota.db"))
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	c := q.Contacts("number", math.MaxInt)
	counts := func(contact string, at time.Time, want bool) {
		t.Helper()
		if got, err := c.Counts([]byte(contact), at); got != want || err != nil {
			t.Errorf("%s at %v: %v, %v; want %v", contact, at, got, err, want)
		}
	}
	counts("34600000001", start, false) // nothing is counted yet
	allow(t, c, "34600000001", start, true)
	counts("34600000001", start, true)
	counts("34600000001", start.Add(window), true)
	counts("34600000001", start.Add(window+time.Minute), false)
	counts("34600000002", start, false)
	if got, err := q.Contacts("other", 1).Counts([]byte("34600000001"), start); got || err != nil {
		t.Errorf("under another name: %v, %v", got, err)
	}
	if _, err := c.Counts([]byte("34x"), start); err == nil {
		t.Error("what is no number was looked up")
	}
}

func TestContactsRefuseWhatIsNoNumber(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "quota.db"))
	if n, err := q.ForgetContacts(time.Now()); n != 0 || err != nil {
		t.Errorf("a store without any: %d, %v", n, err)
	}
	for _, contact := range []string{"", "34x", "1234567890123456", "+34600000001"} {
		if _, _, err := q.Contacts("n", 1).Allow([]byte(contact), time.Now()); err == nil {
			t.Errorf("%q was counted", contact)
		}
	}
	if next := allow(t, q.Contacts("n", 0), "34600000001", time.Now(), false); next.Before(time.Now()) {
		t.Errorf("a limit of none opens at %v", next)
	}
}

func TestContactsTogetherNeverExceed(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "quota.db"))
	c := q.Contacts("n", 20)
	var mu sync.Mutex
	var wait sync.WaitGroup
	good := 0
	at := time.Now()
	for i := range 50 {
		wait.Go(func() {
			ok, _, err := c.Allow(fmt.Appendf(nil, "34600%06d", i), at)
			if err != nil {
				t.Error(err)
			}
			if ok {
				mu.Lock()
				good++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if good != 20 {
		t.Errorf("%d were allowed, 20 are the limit", good)
	}
}

// TestContactsAgainstModel compares the count with a map of last messages.
func TestContactsAgainstModel(t *testing.T) {
	q := openAt(t, filepath.Join(t.TempDir(), "quota.db"))
	round := 0
	rapid.Check(t, func(r *rapid.T) {
		round++
		most := rapid.IntRange(1, 4).Draw(r, "most")
		c := q.Contacts(fmt.Sprint("round", round), most)
		model := map[string]int{}
		minute := 30_000_000
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			minute += rapid.IntRange(0, 600).Draw(r, "minutes")
			contact := fmt.Sprint("3460000000", rapid.IntRange(0, 6).Draw(r, "contact"))
			for who, last := range model {
				if last+1440 < minute {
					delete(model, who)
				}
			}
			_, known := model[contact]
			want := known || len(model) < most
			ok, _, err := c.Allow([]byte(contact), time.Unix(int64(minute)*60, 0))
			if err != nil || ok != want {
				r.Fatalf("%s at %d: %v, %v; want %v", contact, minute, ok, err, want)
			}
			if ok {
				model[contact] = minute
			}
		}
	})
}
