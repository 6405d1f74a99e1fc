package watch

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
)

func TestForesee(t *testing.T) {
	for _, c := range []struct {
		name, files   string // of one folder, without spaces
		layout        bool   // the inbox has one
		drop, near    string
		reason, codes string
	}{
		{"complete", "a.csv a.layout.json a.schedule.json", false, "a", "", "", ""},
		{"without a sidecar", "a.csv a.layout.json", false, "a", "", "", ""},
		{"beside files of no drop", "a.csv a.layout.json a.csv.sha256", false, "a", "", "", ""},
		{"a near sidecar", "spring.csv spring.layout.json spring.shedule.json", false, "spring", "spring.shedule.json",
			"spring.shedule.json was probably meant for it: rename it to spring.schedule.json", "near-miss"},
		{"a near NAME", "spring.csv spring.layout.json Spring.schedule.json", false, "spring", "Spring.schedule.json",
			"Spring.schedule.json was probably meant for it", "near-miss"},
		{"a near layout", "spring.csv spring_layout.json", false, "spring", "spring_layout.json",
			"spring.layout.json must still come; spring_layout.json was probably meant for it: rename it to spring.layout.json", "near-miss part-missing"},
		{"a near layout instead of the default", "spring.csv spring_layout.json", true, "spring", "spring_layout.json", "spring_layout.json was probably meant for it", "near-miss"},
		{"no layout", "a.csv", false, "a", "", "a.layout.json must still come", "part-missing"},
		{"the default layout", "a.csv", true, "a", "", "", ""},
		{"no CSV", "a.layout.json a.schedule.json", false, "a", "", "a.csv must still come", "part-missing"},
		{"two drops", "a.csv z.csv", false, "", "", "", ""},
		{"none", "july.docx a.cancel b.csv.part", false, "", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := Foresee(Options{PairTimeout: time.Hour, DefaultLayout: c.layout}, strings.Fields(c.files))
			if got := f.Drop(); got != c.drop {
				t.Fatalf("got drop %q, want %q", got, c.drop)
			}
			if got := strings.Join(f.Near(c.drop), " "); got != c.near {
				t.Errorf("got near %q, want %q", got, c.near)
			}
			reason, problems := f.Wait(c.drop)
			if !strings.Contains(reason, c.reason) || (reason == "") != (c.reason == "") {
				t.Errorf("got reason %q, want %q", reason, c.reason)
			}
			if d := cmp.Diff(strings.Fields(c.codes), codes(problems)); d != "" && c.codes != "" {
				t.Errorf("codes (-want +got):\n%s", d)
			}
		})
	}
}

func codes(problems []campaign.Problem) (all []string) {
	for _, p := range problems {
		all = append(all, p.Code)
	}
	return all
}

func TestForeseenNotes(t *testing.T) {
	f := Foresee(Options{PairTimeout: time.Hour}, []string{"c1.cancl", "july.docx", "a.csv", "a.csv.asc", "a.schedule.json "})
	for file, want := range map[string]string{"c1.cancl": "Rename it if c1.cancel was meant", "a.csv.asc": "a.csv.asc and leaves it here: it belongs to no drop", "a.schedule.json ": `doesn't know this file`, "july.docx": "july.docx and leaves it here", "a.csv": ""} {
		if got := f.Note(file); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", file, got, want)
		}
	}
}
