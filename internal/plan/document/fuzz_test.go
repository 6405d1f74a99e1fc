package document

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"campaignd/internal/campaign"
)

// located checks that every problem stands within data and can be shown.
func located(t *testing.T, data []byte, problems campaign.Problems) {
	t.Helper()
	for _, p := range problems.List {
		switch {
		case p.Line < 1:
			t.Errorf("outside the file: p.Line: got %v, want at least 1", p.Line)
		case p.Column < 1:
			t.Errorf("outside the file: p.Column: got %v, want at least 1", p.Column)
		case p.Line > len(data)+1:
			t.Errorf("outside the file: p.Line: got %v, want at most %v", p.Line, len(data)+1)
		case p.Column > len(data)+1:
			t.Errorf("outside the file: p.Column: got %v, want at most %v", p.Column, len(data)+1)
		}
		if p.Message == "" {
			t.Error("not fit to be shown: p.Message is empty")
		}
		if !utf8.ValidString(p.String()) {
			t.Error("not fit to be shown: utf8.ValidString(p.String()) = false, want true")
		}
		if strings.ContainsFunc(p.String(), unprintable) {
			t.Error("not fit to be shown: strings.ContainsFunc(p.String(), unprintable) = true, want false")
		}
	}
	if got, want := problems.Count, len(problems.List); got < want {
		t.Errorf("got count %d, want at least the %d that are listed", got, want)
	}
	if problems.Count > 0 && len(problems.List) == 0 {
		t.Errorf("got an empty list, want some of the %d problems", problems.Count)
	}
}

// wellFormed checks what must hold for every document without problems.
func wellFormed(t *testing.T, data []byte) {
	t.Helper()
	if !json.Valid(bytes.TrimPrefix(data, []byte("\ufeff"))) {
		t.Error("accepted, but encoding/json refuses it: json.Valid(bytes.TrimPrefix(data, []byte(\"\\ufeff\"))) = false, want true")
	}
	if !utf8.Valid(data) {
		t.Error("accepted, but encoding/json refuses it: utf8.Valid(data) = false, want true")
	}
}

func FuzzParseLayout(f *testing.F) {
	f.Add([]byte(layoutExample))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, problems, warnings := ParseLayout("f", data)
		located(t, data, problems)
		located(t, data, campaign.Problems{List: warnings, Count: len(warnings)})
		if l == nil {
			if problems.Count == 0 {
				t.Error("no layout and no problem")
			}
			return
		}
		columns, warnings := l.CheckColumns([]string{"a", "contactCode"})
		located(t, data, columns)
		located(t, data, campaign.Problems{List: warnings, Count: len(warnings)})
		located(t, data, l.CheckVariables([]string{"a", "name"}, []string{"a", "contactCode"}))
		if problems.Count > 0 {
			return
		}
		wellFormed(t, data)
		names := slices.Concat(l.ContactCode.Variables(), l.ChannelType.Variables(), l.Reference.Variables())
		for _, field := range l.Fields {
			names = append(names, field.Value.Variables()...)
			switch text, constant := field.Value.Constant(); {
			case constant != (len(field.Value.Variables()) == 0):
				t.Errorf("constant = %v, want %v", constant, (len(field.Value.Variables()) == 0))
			case !utf8.ValidString(text):
				t.Error("utf8.ValidString(text) = false, want true")
			}
		}
		p, _ := l.CheckColumns(names)
		for _, one := range p.List {
			if one.Code == "column-unknown" {
				t.Errorf("its own variables are no columns: one.Code = %q, want another one", one.Code)
			}
			if one.Code == "filter-wrong" {
				t.Errorf("its own variables are no columns: one.Code = %q, want another one", one.Code)
			}
		}
	})
}

func FuzzParseSidecar(f *testing.F) {
	f.Add([]byte(`{"applicationId": 1, "campaignId": 7, "delay": "PT1M", "rows": 3}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, problems := ParseSidecar("f", data)
		located(t, data, problems)
		if problems.Count > 0 {
			return
		}
		wellFormed(t, data)
		switch {
		case s.ScheduleAt != "" && s.Delay != "":
			t.Error(`s.ScheduleAt != "" && s.Delay != "": got true, want false`)
		case s.Rows != nil && *s.Rows < 0:
			t.Error("s.Rows != nil && *s.Rows < 0: got true, want false")
		case len(s.SHA256) != 0 && len(s.SHA256) != 64:
			t.Error("len(s.SHA256) != 0 && len(s.SHA256) != 64: got true, want false")
		case utf8.RuneCountInString(s.Reference) > MaxReference:
			t.Errorf("utf8.RuneCountInString(s.Reference): got %v, want at most %v", utf8.RuneCountInString(s.Reference), MaxReference)
		case !slices.Contains(campaign.Conditions, s.SlicingCondition):
			t.Error("slices.Contains(campaign.Conditions, s.SlicingCondition): got false, want true")
		}
	})
}

func FuzzParseCampaign(f *testing.F) {
	f.Add([]byte(campaignExample))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := ParseCampaign("f", data)
		located(t, data, problems)
		if problems.Count > 0 {
			return
		}
		wellFormed(t, data)
		names := Variables(c.Contents)
		for _, content := range c.Contents {
			if !json.Valid(content.Item) {
				t.Errorf("item %q of %q", content.Item, data)
			}
			if _, err := campaign.Compile(content.Item, names, nil); err != nil {
				t.Errorf("compile %q: %v", content.Item, err)
			}
		}
		for _, channel := range c.ChannelTypes {
			if n := len(campaign.ContentsFor(c.Contents, channel)); n < 1 || n > campaign.MaxMessages {
				t.Errorf("channel %q has %d messages", channel, n)
			}
		}
	})
}
