package recipients

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

// TestPartial: of each row as much is checked as is understood.
func TestPartial(t *testing.T) {
	const (
		text = "contactCode,channelType,name\n1,sms,a\n\"\",sms,a\n3E+10,fax,a\n4,fax,a\n5,sms\n6,a\"b,a\n7,sms,x,y\n"
		good = `{"contact":{"contactCode":"{{contactCode}}","channelType":"{{channelType}}"}}`
	)
	channels := testSpec(t, plainLayout, nil).Channels
	for _, c := range []struct {
		name, layout string
		channels     []Channel
		want         string // the lines at fault
	}{
		{"no layout", "", channels, "6 7 8"},
		{"all", good, channels, "3 4 5 6 7 8"},
		{"no campaign", good, nil, "3 4 6 7 8"},
		{"no such column for the contact", strings.Replace(good, "{{contactCode}}", "{{phone}}", 1), channels, "4 5 6 7 8"},
		{"no channelType", `{"contact":{"contactCode":"{{contactCode}}"}}`, channels, "3 4 6 7 8"},
		{"contactCode of spaces", strings.Replace(good, "{{contactCode}}", " ", 1), nil, "6 7 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := csvfile.Inspect(context.Background(), strings.NewReader(text), int64(len(text)), nil)
			if err != nil {
				t.Fatal(err)
			}
			reader, problems, err := csvfile.NewReader(strings.NewReader(text), info, csvfile.Options{File: "x.csv"})
			if err != nil || problems.Count > 0 {
				t.Fatal(problems, err)
			}
			spec := Spec{File: "x.csv", Columns: reader.Columns(), Channels: c.channels}
			if c.layout != "" {
				spec.Layout, _, _ = document.ParseLayout("x.layout.json", []byte(c.layout))
			}
			p := NewPartial(spec)
			var lines []string
			var batch csvfile.Batch
			for {
				if err := reader.ReadBatch(&batch); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				for i := range batch.Len() {
					one, wrong := p.Check(reader, &batch, i)
					if !wrong {
						continue
					}
					lines = append(lines, strings.Split(one.String(), ":")[1])
					if one.Column == 0 {
						t.Error("one.Column is 0")
					}
					if one.Message == "" {
						t.Error("one.Message is empty")
					}
				}
			}
			if diff := cmp.Diff(c.want, strings.Join(lines, " ")); diff != "" {
				t.Errorf("lines (-want +got):\n%s", diff)
			}
		})
	}
}
