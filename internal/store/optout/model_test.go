package optout

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// digitsOnly are rules under which a contact is its digits, after a prefix.
func digitsOnly(prefix string) Rules {
	return Rules{Version: "digits " + prefix, Key: func(dst []byte, _ int64, _ string, contact []byte) []byte {
		dst = append(dst, prefix...)
		for _, b := range contact {
			if '0' <= b && b <= '9' {
				dst = append(dst, b)
			}
		}
		return dst
	}}
}

// TestOptOutsAgainstModel adds, removes and finds opt-outs in random order and spelling, changes
// the rules, reopens, and compares the store with a map.
func TestOptOutsAgainstModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "optouts.db")
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		o, err := open(fmt.Sprintf("%s%d", path, n))
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { o.db.Close() }()
		prefix := ""
		if err := o.UseOptOutRules(digitsOnly(prefix)); err != nil {
			rt.Fatal(err)
		}
		known := map[string]string{} // application, channel, digits -> as given
		place := func(one OptOut) string {
			return fmt.Sprint(one.ApplicationID, one.ChannelType, " ", strings.NewReplacer("+", "", " ", "").Replace(one.ContactCode))
		}
		one := rapid.Custom(func(t *rapid.T) OptOut {
			return OptOut{ApplicationID: rapid.Int64Range(-1, 1).Draw(t, "application"), ChannelType: rapid.SampledFrom([]string{"", "a", "ab"}).Draw(t, "channel"),
				ContactCode: rapid.SampledFrom([]string{"", "+", " "}).Draw(t, "style") + fmt.Sprint(rapid.IntRange(0, 400).Draw(t, "number")),
				Source:      rapid.SampledFrom([]string{"file", "command"}).Draw(t, "source")}
		})
		rt.Repeat(map[string]func(*rapid.T){
			"add": func(rt *rapid.T) {
				list := rapid.SliceOfN(one, 0, 300).Draw(rt, "list")
				want := 0
				for _, x := range list {
					if _, ok := known[place(x)]; !ok {
						known[place(x)] = x.ContactCode
						want++
					}
				}
				if added, err := o.AddOptOuts(list); added != want || err != nil {
					rt.Fatalf("%d added, want %d, %v", added, want, err)
				}
			},
			"remove": func(rt *rapid.T) {
				x := one.Draw(rt, "one")
				_, want := known[place(x)]
				delete(known, place(x))
				if was, err := o.RemoveOptOut(x.ApplicationID, x.ChannelType, x.ContactCode); was != want || err != nil {
					rt.Fatalf("removed %t, want %t, %v", was, want, err)
				}
			},
			"fill the filter": func(rt *rapid.T) {
				if err := o.FillOptOutFilter(t.Context()); err != nil {
					rt.Fatal(err)
				}
			},
			"other rules": func(rt *rapid.T) {
				prefix += "7"
				if err := o.UseOptOutRules(digitsOnly(prefix)); err != nil {
					rt.Fatal(err)
				}
			},
			"reopen": func(rt *rapid.T) {
				o.db.Close()
				if o, err = open(o.db.Path()); err != nil {
					rt.Fatal(err)
				}
				if err := o.UseOptOutRules(digitsOnly(prefix)); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {
				x := one.Draw(rt, "look for")
				_, want := known[place(x)]
				if !want && x.ChannelType != "" {
					_, want = known[place(OptOut{ApplicationID: x.ApplicationID, ContactCode: x.ContactCode})]
				}
				if out, err := o.OptedOut(x.ApplicationID, x.ChannelType, []byte(x.ContactCode)); out != want || err != nil {
					rt.Fatalf("%+v: opted out %t, want %t, %v", x, out, want, err)
				}
				count := 0
				if err := o.EachOptOut(0, func(x OptOut) error {
					count++
					switch given, ok := known[place(x)]; {
					case !ok:
						return fmt.Errorf("%+v is there, want none", x)
					case given != x.ContactCode:
						return fmt.Errorf("%+v is there, want the contact %q", x, given)
					case x.At.IsZero():
						return fmt.Errorf("%+v has no time", x)
					case x.Source == "":
						return fmt.Errorf("%+v has no source", x)
					}
					return nil
				}); err != nil {
					rt.Fatal(err)
				}
				if total, err := o.OptOuts(); count != len(known) || total != uint64(count) || err != nil {
					rt.Fatalf("%d opt-outs, %d counted, want %d, %v", count, total, len(known), err)
				}
			},
		})
		if found := problems(t, o); len(found) > 0 {
			rt.Fatal(found)
		}
	})
}

// TestTooManyOptOuts: max_opt_outs is never exceeded, and known ones can still be repeated.
func TestTooManyOptOuts(t *testing.T) {
	o := openTest(t)
	rules := digitsOnly("")
	rules.Max = 3
	if err := o.UseOptOutRules(rules); err != nil {
		t.Fatal(err)
	}
	list := []OptOut{{ContactCode: "1"}, {ContactCode: "2"}, {ContactCode: "3"}}
	for range 2 {
		if _, err := o.AddOptOuts(list); err != nil {
			t.Error(err)
		}
	}
	if n, err := o.AddOptOuts([]OptOut{{ContactCode: "4"}}); n != 0 || !errors.Is(err, ErrTooManyOptOuts) {
		t.Errorf("%d added, %v", n, err)
	}
}

// TestOptOutsWhileRulesChange: opt-outs are found by their former keys until all have new ones,
// and an interrupted change is completed later.
func TestOptOutsWhileRulesChange(t *testing.T) {
	o := openTest(t)
	if err := o.UseOptOutRules(digitsOnly("")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.AddOptOuts([]OptOut{{ApplicationID: 1, ContactCode: "+34 1"}}); err != nil {
		t.Fatal(err)
	}
	next := digitsOnly("9")
	o.rules.Store(&inUse{Rules: next, before: &o.rules.Load().Rules})
	if out, err := o.OptedOut(1, "a", []byte("341")); !out || err != nil {
		t.Errorf("during the change: %t, %v", out, err)
	}
	o.db.Close()
	o = openAt(t, o.db.Path())
	if err := o.UseOptOutRules(next); err != nil {
		t.Fatal(err)
	}
	if out, err := o.OptedOut(1, "a", []byte("341")); !out || err != nil {
		t.Errorf("after the change: %t, %v", out, err)
	}
}

// optOutList makes n numbers of one country in random order, and the size of a file of them.
func optOutList(n int) (list []OptOut, size int) {
	random := rand.New(rand.NewPCG(1, 2))
	for range n {
		contact := fmt.Sprintf("346%08d", random.IntN(100_000_000))
		list = append(list, OptOut{ApplicationID: 1, ContactCode: contact, Source: "file:stop.suppress.csv"})
		size += len(contact) + 1
	}
	return list, size
}

// TestOptOutsOnDisk: opt-outs take at most 1.5 times the room of their file after a compaction.
func TestOptOutsOnDisk(t *testing.T) {
	o := openTest(t)
	before, err := o.db.Compact(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, size := optOutList(1_000_000)
	for part := range slices.Chunk(list, 250_000) {
		if _, err := o.AddOptOuts(part); err != nil {
			t.Fatal(err)
		}
	}
	after, err := o.db.Compact(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ratio := float64(after.After-before.After) / float64(size)
	t.Logf("%d bytes for a file of %d: %.2f", after.After-before.After, size, ratio)
	if ratio > 1.5 {
		t.Errorf("%.2f times the file, want at most 1.5", ratio)
	}
	for i := range list {
		if i%1000 != 0 {
			continue
		}
		switch out, err := o.OptedOut(1, "cloud_api", []byte(list[i].ContactCode)); {
		case !out:
			t.Fatalf("opt-out %d isn't found: %v", i, err)
		case err != nil:
			t.Fatalf("opt-out %d isn't found: %v", i, err)
		}
	}
}

// BenchmarkOptedOut looks one contact up among 1,000,000 opt-outs.
func BenchmarkOptedOut(b *testing.B) {
	o := openTest(b)
	list, _ := optOutList(1_000_000)
	if _, err := o.AddOptOuts(list); err != nil {
		b.Fatal(err)
	}
	for name, change := range map[string]byte{"opted out": 0, "not opted out": 1} {
		b.Run(name, func(b *testing.B) {
			contacts := make([][]byte, 4096)
			for i := range contacts {
				contacts[i] = []byte(list[i*200].ContactCode)
				contacts[i][10] ^= change
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := o.OptedOut(1, "cloud_api", contacts[i%len(contacts)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
