package document

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNamePatternReadsKeys(t *testing.T) {
	p, err := ParseNamePattern(`(?P<reference>[a-z]+)(-(?P<application>\d+))?-(?P<campaign>\d+)-(?P<scheduleAt>\d+T\d+Z)`)
	if err != nil {
		t.Fatal(err)
	}
	s, problems := p.Read("offers.csv", "offers-3-7-20261201T0930Z")
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	switch {
	case *s.ApplicationID != 3:
		t.Errorf("*s.ApplicationID: got %v, want 3", *s.ApplicationID)
	case *s.CampaignID != 7:
		t.Errorf("*s.CampaignID: got %v, want 7", *s.CampaignID)
	case s.ScheduleAt != "2026-12-01T09:30Z":
		t.Errorf(`s.ScheduleAt: got %q, want "2026-12-01T09:30Z"`, s.ScheduleAt)
	case s.Reference != "offers":
		t.Errorf(`s.Reference: got %q, want "offers"`, s.Reference)
	}
	s, problems = p.Read("offers.csv", "offers-7-20261201T0930Z")
	switch {
	case problems.Count > 0:
		t.Errorf("a group that took no part: problems.Count: got %v, want 0", problems.Count)
	case s.ApplicationID != nil:
		t.Errorf("a group that took no part: s.ApplicationID: got %+v, want none", s.ApplicationID)
	case s.Has("applicationId"):
		t.Error(`a group that took no part: s.Has("applicationId"): got true, want false`)
	case !s.Has("campaignId"):
		t.Error(`a group that took no part: s.Has("campaignId"): got false, want true`)
	}
}

func TestNamePatternRefusesNames(t *testing.T) {
	for name, c := range map[string]struct{ pattern, name, want string }{
		"another form":       {`daily-(?P<campaign>\d+)`, "weekly-7", `a.csv: the name "weekly-7" doesn't have the form that this inbox wants (name_pattern is "daily-(?P<campaign>\\d+)"): rename all files of the drop`},
		"only a part of it":  {`daily-(?P<campaign>\d+)`, "daily-7-copy", "doesn't have the form"},
		"alternatives":       {`a|daily`, "daily-7", "doesn't have the form"},
		"campaign no number": {`(?P<campaign>.+)`, "spring", `a.csv: campaignId: the name says "spring", want the number of the campaign`},
		"campaign zero":      {`(?P<campaign>.+)`, "0", "want the number of the campaign"},
		"a huge number":      {`(?P<application>\d+)`, "99999999999999999999", "which is too large: the largest number is 9223372036854775807"},
		"a long reference":   {`(?P<reference>.+)`, strings.Repeat("é", 129), "want a reference of at most 128 characters"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := ParseNamePattern(c.pattern)
			if err != nil {
				t.Fatal(err)
			}
			_, problems := p.Read("a.csv", c.name)
			if problems.Count != 1 {
				t.Errorf("problems.Count = %v, want 1", problems.Count)
			}
			if !strings.Contains(problems.List[0].String(), c.want) {
				t.Errorf("want %q in:\n%s", c.want, problems.List[0].String())
			}
			if problems.List[0].Code != "name-pattern" {
				t.Errorf("problems.List[0].Code = %q, want \"name-pattern\"\n%s\n%+v", problems.List[0].Code, c.want, problems.List)
			}
		})
	}
}

func TestSidecarIsCompleted(t *testing.T) {
	at := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	inbox, problems := ParseSidecar("schedule of the inbox", []byte(`{"delay": "PT1H", "slicingCondition": "deferredConsecutiveSlots", "dryRun": true, "resend": true, "reference": "inbox"}`))
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	s, _ := ParseSidecar("a.schedule.json", []byte(`{"scheduleAt": "2026-12-01T10:00:00Z", "dryRun": false}`))
	s.Complete(inbox)
	if s.Delay != "" {
		t.Errorf("what the sidecar says was replaced: s.Delay = %q, want none", s.Delay)
	}
	if s.DryRun {
		t.Error("what the sidecar says was replaced: s.DryRun = true, want false")
	}
	if s.ScheduleAt == "" {
		t.Error("what the sidecar says was replaced: s.ScheduleAt is empty")
	}
	if s.SlicingCondition != "deferredConsecutiveSlots" {
		t.Errorf("what the sidecar lacks wasn't added: s.SlicingCondition = %q, want \"deferredConsecutiveSlots\"", s.SlicingCondition)
	}
	if s.Reference != "inbox" {
		t.Errorf("what the sidecar lacks wasn't added: s.Reference = %q, want \"inbox\"", s.Reference)
	}
	if !s.Resend {
		t.Error("what the sidecar lacks wasn't added: s.Resend = false, want true")
	}
	if got, want := s.FileOf("reference"), "schedule of the inbox"; got != want {
		t.Errorf("the reference comes from %q, want %q", got, want)
	}
	switch T, problems, _ := s.When(at, nil, 0); {
	case problems.Count > 0:
		t.Errorf("problems.Count = %v, want 0", problems.Count)
	case !T.Equal(at.Add(time.Hour)):
		t.Errorf("T = %v, want %v", T, at.Add(time.Hour))
	}
	empty, _ := ParseSidecar("a.schedule.json", []byte(`{}`))
	empty.Complete(inbox)
	switch T, problems, _ := empty.When(at, nil, 0); {
	case problems.Count > 0:
		t.Errorf("problems.Count = %v, want 0", problems.Count)
	case !T.Equal(at.Add(time.Hour)):
		t.Errorf("T = %v, want %v", T, at.Add(time.Hour))
	}
}

// A time that came from a NAME is reported at the file of that name.
func TestCompletedTimeIsReportedWhereItCameFrom(t *testing.T) {
	p, err := ParseNamePattern(`daily-(?P<scheduleAt>.*)`)
	if err != nil {
		t.Fatal(err)
	}
	fromName, _ := p.Read("daily.csv", "daily-20251001T1215Z")
	s := &Sidecar{File: "daily.schedule.json"}
	s.Complete(fromName)
	_, problems, _ := s.When(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), nil, 0)
	if problems.Count != 1 {
		t.Errorf("problems.Count = %v, want 1", problems.Count)
	}
	if problems.List[0].File != "daily.csv" {
		t.Errorf("problems.List[0].File = %q, want \"daily.csv\"", problems.List[0].File)
	}
}

func FuzzNamePattern(f *testing.F) {
	f.Add(`(?P<reference>[a-z]+)-(?P<campaign>\d+)-(?P<scheduleAt>\d{8}T\d{4}Z)`, "offers-7-20261201T0930Z")
	f.Add(`(?P<application>.*)|(?P<campaign>.*)`, "1")
	f.Add(`(?i)DAILY.*`, "daily")
	f.Add(`a)(b`, "ab")
	f.Add(`(?P<scheduleAt>.*)`, "00000000T0000")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		p, err := ParseNamePattern(pattern)
		if err != nil {
			return
		}
		s, problems := p.Read("f.csv", name)
		if s == nil {
			t.Fatal("no sidecar")
		}
		for _, one := range problems.List {
			if one.Code == "" {
				t.Fatal("one.Code is empty")
			}
			if one.Message == "" {
				t.Fatal("one.Message is empty")
			}
			if one.File != "f.csv" {
				t.Fatalf("one.File = %q, want \"f.csv\"", one.File)
			}
		}
		for key, id := range map[string]*int64{"campaign": s.CampaignID, "application": s.ApplicationID} {
			if id != nil && *id < 1 {
				t.Fatalf("%s is %d, want 1 or more", key, *id)
			}
		}
		full, _ := ParseSidecar("f.schedule.json", []byte(`{}`))
		full.Complete(s)
		full.When(time.Unix(0, 0), time.UTC, 0)
	})
}

func TestColumnsTakeThePlaceOfALayout(t *testing.T) {
	contacts := []string{"contactCode", "phone", "telefono", "teléfono", "email"}
	for name, c := range map[string]struct {
		columns, variables, channels []string
		want                         string // contact, channel, fields
		problems                     []string
	}{
		"the names":                        {[]string{"name", "contactCode", "channelType"}, []string{"name"}, []string{"a", "b"}, "{contactCode} {channelType} name={name}", nil},
		"any case":                         {[]string{"PHONE", "ChannelType"}, nil, []string{"a"}, "{PHONE} {ChannelType}", nil},
		"the first":                        {[]string{"email", "Teléfono", "telefono"}, nil, []string{"a"}, "{telefono} a", nil},
		"one channel, a decomposed accent": {[]string{"tele\u0301fono", "name"}, []string{"name"}, []string{"sms"}, "{teléfono} sms name={name}", nil},
		"none of them": {[]string{"msisdn"}, []string{"name"}, []string{"a", "b"}, " ", []string{
			`f.csv: contactCode: this inbox takes the contactCode from one of the columns "contactCode", "phone", "telefono", "teléfono", "email", and the CSV has none of them (its columns: "msisdn")`,
			`f.csv: channelType: the campaign can be sent on "a", "b", and the CSV has no column "channelType" that says on which`,
			`f.csv: name: the campaign uses {{name}}, and the CSV has no column "name" (its columns: "msisdn")`}},
		"a variable in another case": {[]string{"phone", "Name"}, []string{"name"}, []string{"a"}, "{phone} a", []string{
			`f.csv: name: the campaign uses {{name}}, and the CSV has no column "name"; did you mean "Name"? (its columns: "phone", "Name")`}},
	} {
		t.Run(name, func(t *testing.T) {
			rules := ColumnsLayout{File: "f.csv", Columns: c.columns, Variables: c.variables, Contacts: contacts, Channels: c.channels}
			l, problems := rules.Layout()
			show := func(t Text) string {
				var b strings.Builder
				for _, s := range t.Segments {
					b.WriteString(s.Text)
					if s.Variable != nil {
						b.WriteString("{" + s.Variable.Name + "}")
					}
				}
				return b.String()
			}
			got := show(l.ContactCode) + " " + show(l.ChannelType)
			for _, f := range l.Fields {
				got += " " + f.Name + "=" + show(f.Value)
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if diff := cmp.Diff(c.problems, lines(problems.List)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if l.Incomplete() != (len(c.problems) > 0) {
				t.Errorf("incomplete: %v", l.Incomplete())
			}
		})
	}
}
