package watch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// Which files keep a drop with a CSV alone, or with the parts in have, from being taken with
// defaults (docs/contract.md 2, near misses).
func TestNearMisses(t *testing.T) {
	for _, c := range []struct {
		name, have string // files of the drop, without NAME
		file       string
		near       bool
	}{
		{"spring", ".csv .layout.json", "spring.schedule.json.txt", true},
		{"spring", ".csv .layout.json", "spring.shedule.json", true},
		{"spring", ".csv .layout.json", "spring.scehdule.json", true},
		{"spring", ".csv .layout.json", "spring_schedule.json", true},
		{"spring", ".csv .layout.json", "spring-schedule.json", true},
		{"spring", ".csv .layout.json", "spring schedule.json", true},
		{"spring", ".csv .layout.json", "spring - Schedule.json", true},
		{"spring", ".csv .layout.json", "Spring.schedule.json", true},
		{"spring", ".csv .layout.json", "SPRING.SCHEDULE.JSON.TXT", true},
		{"spring", ".csv .layout.json", "spring.schedule (1).json", true},
		{"spring", ".csv .layout.json", "spring (1).schedule.json", true},
		{"spring", ".csv .layout.json", "spring(1).schedule.json", true},
		{"spring", ".csv .layout.json", "spring．schedule.json", true},
		{"spring", ".csv .layout.json", "spring+schedule.json", true},
		{"spring", ".csv .layout.json", "spring.horario.json", true},
		{"spring", ".csv .layout.json", "spring(2026).schedule.json", false},
		{"spring", ".csv .layout.json", "spring.schedule.jsn", true},
		{"spring", ".csv .layout.json", "spring.sched", true},
		{"spring", ".csv .layout.json", "spring.json", true},
		{"spring", ".csv .layout.json", "spring.json.txt", true},
		{"spring", ".csv .layout.json", "sprng.schedule.json", true},
		{"spring", ".csv .layout.json", "spirng.schedule.json", true},
		{"spring", ".csv .layout.json", "springs.schedule.json", true},
		{"spring", ".csv .layout.json", "spring.csv.schedule.json", true},
		{"spring", ".csv .layout.json", "Copy of spring.schedule.json", true},
		{"spring", ".csv .layout.json", "Copia de spring.schedule.json", true},
		{"spring", ".csv .layout.json", "Kopie von spring.schedule.json", true},
		{"spring", ".csv .layout.json", "spring - Copy.schedule.json", true},
		{"spring", ".csv .layout.json", "spring - copia (2).schedule.json", true},
		{"spring", ".csv .layout.json", "springschedule.json", true},
		{"spring", ".csv .layout.json", "springSchedule.json", true},
		{"spring", ".csv .layout.json", "schedule_spring.json", true},
		{"spring", ".csv .layout.json", "schedule.spring.json", true},
		{"spring", ".csv", "layout-spring.json", true},
		{"spring", ".csv .layout.json", "springsschedule.json", false},
		{"spring", ".csv .layout.json", "schedule-spring2.json", false},
		{"spring", ".csv .layout.json", "schedule.json", false},
		{"spring", ".csv .layout.json", "spring-old.schedule.json", false},
		{"spring", ".csv", "spring_layout.json", true},
		{"spring", ".csv", "Spring.layout.json", true},
		{"spring", ".csv", "spring.csv.layout.json", true},
		{"spring", ".csv", "spring.layuot.json", true},
		{"aug (1)", ".csv", "aug.layout.json", true},
		{"Spring", ".csv", "spring.layout.json", true},
		{"daily.2026", ".csv .layout.json", "daily.2026.shedule.json", true},
		{"daily-2026-11-27", ".csv .layout.json", "daily_2026_11_27.schedule.json", false}, // three edits
		{"daily-2026-11-27", ".csv .layout.json", "dialy-2026-11-27.schedule.json", true},
		{"campaña", ".csv .layout.json", "campan\u0303a.shedule.json", true},
		{"CAMPAÑA", ".csv .layout.json", "campaña.schedule.json", true},

		{"spring", ".csv .layout.json", "spring.csv.sha256", false},
		{"spring", ".csv .layout.json", "spring.ok", false},
		{"spring", ".csv .layout.json", "spring.done", false},
		{"spring", ".csv .layout.json", "spring.txt", false},
		{"spring", ".csv .layout.json", "spring.csv.md5", false},
		{"spring", ".csv .layout.json", "spring.xls", false},
		{"spring", ".csv .layout.json", "spring.layout.json.sha256", false}, // the layout is there
		{"spring", ".csv .layout.json", "spring_layout.json", false},
		{"spring", ".csv .layout.json .schedule.json", "spring.schedule.json.txt", false},
		{"spring", ".csv .layout.json", "autumn.schedule.json", false},
		{"spring", ".csv .layout.json", "spring2.schedule.json", false},
		{"spring1", ".csv .layout.json", "spring2.schedule.json", false},
		{"daily-2026-11-28", ".csv .layout.json", "daily-2026-11-29.csv", false},
		{"daily-2026-11-28", ".csv .layout.json", "daily-2026-11-29.layout.json", false},
		{"daily-2026-11-28", ".csv .layout.json", "daily-2026-11-29.schedule.json", false},
		{"a", ".csv .layout.json", "b.schedule.json", false},
		{"ab", ".csv .layout.json", "cd.schedule.json", false},
		{"spring", ".csv .layout.json", "README.schedule.json", false},
		{"spring", ".csv .layout.json", ".spring.schedule.json", false},
		{"spring", ".csv .layout.json", "spring.schedule.json.note.txt", false},
		{"spring", ".csv .layout.json", "spring.cancel", false},
		{"spring", ".csv .layout.json", "package.json", false},
		{"spring", ".csv .layout.json", "schedule.json", false},
	} {
		t.Run(c.name+" and "+c.file, func(t *testing.T) {
			opt := standard()
			opt.Rescan = every(10 * time.Second)
			bubble(t, opt, func(b *inbox) {
				for _, end := range strings.Fields(c.have) {
					b.put(c.name + end)
				}
				b.put(c.file)
				b.run()
				b.pass(5 * time.Minute)
				if c.near || !strings.Contains(c.have, "layout") {
					if b.first("ready", c.name) != nil {
						t.Fatal("the drop was handed over with defaults")
					}
					b.pass(time.Hour)
					d := b.first("incomplete", c.name)
					if d == nil {
						t.Fatal("the drop was never handed over")
					}
					switch {
					case len(d.drop.Near) != 1:
						t.Errorf("near are %v: len(d.drop.Near) = %v, want 1: %+v", d.drop.Near, len(d.drop.Near), d.drop.Near)
					case d.drop.Near[0].Name != c.file:
						t.Errorf("near are %v: d.drop.Near[0].Name = %q, want %q", d.drop.Near, d.drop.Near[0].Name, c.file)
					case !strings.Contains(troubles(d.drop), "near name"):
						t.Errorf("near are %v: troubles(d.drop) = %q, want \"near name\" in it", d.drop.Near, troubles(d.drop))
					}
					return
				}
				if b.first("ready", c.name) == nil {
					t.Error("the drop was held back")
				}
			})
		})
	}
}

// A near name that is a part of another drop with a CSV belongs to that drop.
func TestNearNameOfAnotherDropIsNoNearMiss(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("spring.csv", "spring.layout.json", "Spring.csv", "Spring.layout.json", "Spring.schedule.json", "sprung.csv", "sprung.layout.json")
		b.run()
		b.pass(time.Minute)
		b.want("spring", "ready")
		b.want("Spring", "ready")
		b.want("sprung", "ready")
	})
}

// A near miss that is renamed completes its drop.
func TestNearMissRenamed(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("spring.csv", "spring.layout.json", "spring.shedule.json")
		b.run()
		b.pass(10 * time.Minute)
		b.want("spring")
		b.do(os.Rename(b.path("spring.shedule.json"), b.path("spring.schedule.json")))
		b.pass(5 * time.Second)
		b.want("spring", "ready")
		switch d := b.first("ready", "spring").drop; {
		case len(d.Near) != 0:
			t.Errorf("len(d.Near) = %v, want 0", len(d.Near))
		case d.Sidecar == nil:
			t.Error("d.Sidecar is nil")
		}
	})
}

// The orphan of a near miss goes with its drop, not on its own.
func TestNearMissGoesWithItsDrop(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("spring.layout.json")
		b.run()
		b.pass(time.Minute)
		b.put("Spring.csv")
		b.pass(60 * time.Minute)
		b.want("spring")
		b.pass(2 * time.Minute)
		b.want("Spring", "incomplete")
		switch d := b.first("incomplete", "Spring").drop; {
		case len(d.Near) != 1:
			t.Errorf("len(d.Near) = %v, want 1", len(d.Near))
		case d.Near[0].Name != "spring.layout.json":
			t.Errorf("d.Near[0].Name = %q, want \"spring.layout.json\"", d.Near[0].Name)
		case len(d.Files()) != 2:
			t.Errorf("len(d.Files()) = %v, want 2", len(d.Files()))
		}
	})
}

// Both spellings of an accented name are one drop.
func TestNamesCompareInNFC(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("campan\u0303a.csv", "campa\u00f1a.layout.json", "campan\u0303a.schedule.json")
		b.run()
		b.pass(5 * time.Second)
		b.want("campa\u00f1a", "ready")
		if d := b.first("ready", "campa\u00f1a").drop; d.CSV.Name != "campan\u0303a.csv" {
			t.Errorf("the drop is %+v", d)
		}
	})
}

// An upload of a part under a temporary name holds the drop until a minute after its last change.
func TestUploadOfTheSameNameHoldsTheDrop(t *testing.T) {
	bubble(t, standard(), func(b *inbox) {
		b.put("spring.csv", "spring.layout.json")
		b.run()
		b.pass(20 * time.Second)
		b.put("spring.schedule.json.part", "autumn.csv.part")
		b.pass(50 * time.Second)
		b.want("spring")
		b.do(os.WriteFile(b.path("spring.schedule.json.part"), []byte("{} "), 0o600))
		b.pass(55 * time.Second)
		b.want("spring")
		b.pass(10 * time.Second)
		b.want("spring", "ready")
	})
}

func TestNotes(t *testing.T) {
	opt := standard()
	opt.NoteAfter = time.Minute
	bubble(t, opt, func(b *inbox) {
		b.put("spring.csv", "july.docx", "easter.cancl", "easter.csv", "easter.layout.json", "easter_schedule.json", "summer.cvs")
		b.do(os.Mkdir(b.path("old"), 0o700))
		b.run()
		b.pass(55 * time.Second)
		if got := b.noted(); len(got) != 0 {
			t.Fatalf("early notes %v", got)
		}
		b.pass(10 * time.Second)
		for name, want := range map[string]string{
			"spring":               `campaignd reads spring.csv as part of the drop "spring". It waits until 2000-01-01 01:00:00 UTC and then goes to failed/: spring.layout.json must still come.`,
			"july.docx":            "july.docx and leaves it here: it belongs to no drop",
			"easter.cancl":         "Rename it if easter.cancel was meant.",
			"easter":               "easter_schedule.json was probably meant for it: rename it to easter.schedule.json",
			"easter_schedule.json": `meant for the drop "easter", which waits for it: rename it to easter.schedule.json.`,
			"summer.cvs":           "Rename it if summer.csv was meant.",
			"old":                  "doesn't look into the folder old",
		} {
			if got := b.noted()[name]; !strings.Contains(got, want) {
				t.Errorf("the note on %s is %q, want %q", name, got, want)
			}
		}
		if got := slices.Sorted(maps.Keys(b.noted())); len(got) != 7 {
			t.Errorf("notes on %q", got)
		}
		b.put("spring.layout.json")
		b.pass(5 * time.Second)
		if _, ok := b.noted()["spring"]; ok {
			t.Error("the note stays although its reason is gone")
		}
	})
}

// A note gives no advice that can't work (docs/contract.md 2, every file gets an answer).
func TestNotesOnUnknownFiles(t *testing.T) {
	for file, want := range map[string]string{
		"a.xls":                "save it as a.xlsx or a.csv",
		"a.ods":                "save it as a.xlsx or a.csv",
		"a.csv.zst":            "upload a.csv itself, or as a.zip or a.csv.gz",
		"a.csv.gpg":            "decrypt it and upload a.csv",
		"a.csv.ok":             "it belongs to no drop",
		"a.csv.sig":            "it belongs to no drop",
		"a.ctl":                "it belongs to no drop",
		"a.csv.part1":          "it belongs to no drop",
		"a.cvs":                "Rename it if a.csv was meant",
		"a.zpi":                "Rename it if a.zip was meant",
		"a.csv (1)":            "Rename it if a.csv was meant",
		"a.cancel (1).txt":     "Rename it if a.cancel was meant",
		"a.cancel - copia.txt": "Rename it if a.cancel was meant",
		"a cancel.txt":         "Rename it if a.cancel was meant",
		"a.cancel.docx":        "Rename it if a.cancel was meant",
		"a.suppress.txt":       "Rename it if a.suppress.csv was meant",
		"a.suppress.csv.txt":   "Rename it if a.suppress.csv was meant",
		"a.abort":              "upload an empty file NAME.cancel",
		"spring.txt":           "Rename it if spring.csv was meant",
		"summer.txt":           "it belongs to no drop",
	} {
		w := &Watcher{items: map[key]*item{{base: "spring"}: {name: Name{Base: "spring"}}}, others: map[string]*other{}}
		if got := w.otherNote(&other{file: File{Name: file}}); !strings.Contains(got, want) {
			t.Errorf("the note on %s is %q, want %q", file, got, want)
		}
	}
}

func TestNotesAreBounded(t *testing.T) {
	opt := standard()
	opt.NoteAfter = time.Second
	bubble(t, opt, func(b *inbox) {
		for i := range 3 * MaxNotes {
			b.put(fmt.Sprintf("f%d.docx", i))
		}
		b.run()
		b.pass(10 * time.Second)
		if n := len(b.noted()); n != MaxNotes {
			t.Errorf("%d notes, want %d", n, MaxNotes)
		}
	})
}

// noted returns the newest notes.
func (r *recorder) noted() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.notes)
}
