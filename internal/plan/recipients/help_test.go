package recipients

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

const plainLayout = `{"contact":{"contactCode":"{{contactCode}}","channelType":"{{channelType}}"},"customFields":{"name":"{{name}}","code":"X-{{name}}-{{name}}","fixed":"10%"}}`

// errWord is the word for which the tests' channels refuse a message.
var errWord = errors.New("the message holds a word that is not allowed; take it out")

// testSpec makes a Spec: a campaign with two channels, the second of which sends two messages.
func testSpec(t testing.TB, layout string, change func(*Spec)) Spec {
	t.Helper()
	l, problems, _ := document.ParseLayout("x.layout.json", []byte(layout))
	if problems.Count > 0 {
		t.Fatal(problems.List)
	}
	spec := Spec{File: "x.csv", Layout: l, NotAllowed: []string{"email"}, Dedupe: true, MaxBadRows: 1, Previews: 5}
	for _, f := range l.Fields {
		spec.Variables = append(spec.Variables, f.Name)
	}
	check := func(_, content []byte) error {
		if bytes.Contains(content, []byte("forbidden")) {
			return errWord
		}
		return nil
	}
	compiled := func(items ...string) (all []*campaign.Template) {
		for _, item := range items {
			c, err := campaign.Compile(json.RawMessage(item), spec.Variables, nil)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
		return all
	}
	body := `{"body":"Hello"}`
	if len(spec.Variables) > 0 {
		body = fmt.Sprintf(`{"body":"Hello {{%s}}"}`, spec.Variables[0])
	}
	spec.Channels = []Channel{
		{Name: "cloud_api", Templates: compiled(body), Check: check},
		{Name: "sms", Templates: compiled(`{"text":"1"}`, body), Check: check},
	}
	if change != nil {
		change(&spec)
	}
	return spec
}

// recordingWriter is a RowWriter that keeps everything.
type recordingWriter struct {
	t        testing.TB
	spec     Spec
	first    uint32
	rows     []string // line contact channel values
	normal   []string
	lines    []uint32
	refusals []campaign.Refusal
	rejected bytes.Buffer
	chunks   []int
	fail     error
}

func (l *recordingWriter) Chunk(rows *campaign.Rows) error {
	if rows.First != l.first {
		l.t.Errorf("rows.First = %v, want %v", rows.First, l.first)
	}
	if rows.First%campaign.ChunkRows != 0 {
		l.t.Errorf("rows.First %% campaign.ChunkRows = %v, want 0", rows.First%campaign.ChunkRows)
	}
	l.first += uint32(rows.Len())
	l.chunks = append(l.chunks, rows.Len())
	for i := range rows.Len() {
		one := fmt.Sprintf("%d %s %s", rows.Lines[i], rows.Contacts.At(i), l.spec.Channels[rows.Channels[i]].Name)
		for v := range rows.Values {
			one += fmt.Sprintf(" %q", rows.Values[v].At(i))
		}
		l.rows = append(l.rows, one)
		l.lines = append(l.lines, rows.Lines[i])
		l.normal = append(l.normal, string(rows.To(i)))
	}
	return l.fail
}

func (l *recordingWriter) Refused(refusals []campaign.Refusal, rejected []byte) error {
	l.refusals = append(l.refusals, refusals...)
	l.rejected.Write(rejected)
	return l.fail
}

// take runs data the whole way, most records a batch.
func take(t testing.TB, spec Spec, data string, most int) (*Assembler, *recordingWriter) {
	t.Helper()
	info, err := csvfile.Inspect(context.Background(), strings.NewReader(data), int64(len(data)), nil)
	if err != nil {
		t.Fatal(err)
	}
	reader, problems, err := csvfile.NewReader(strings.NewReader(data), info, csvfile.Options{File: "x.csv", Wanted: []string{"contactCode"}})
	switch {
	case err != nil:
		t.Fatal(err)
	case problems.Count > 0:
		t.Fatalf("problems.Count = %v, want 0", problems.Count)
	}
	spec.Columns = reader.Columns()
	r, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	reader.LimitBatch(most)
	writer := &recordingWriter{t: t, spec: spec}
	a := r.Assemble(info.RowBound(), new(Memory), writer)
	var batch csvfile.Batch
	var out Checked
	for {
		err := reader.ReadBatch(&batch)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		r.Check(reader, &batch, &out)
		if err := a.Add(&out); errors.Is(err, ErrTooManyRows) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Finish(); err != nil {
		t.Fatal(err)
	}
	return a, writer
}

// verdict returns the Verdict as lines.
func verdict(a *Assembler) string {
	var all []string
	for _, p := range a.Verdict() {
		all = append(all, p.String())
	}
	return strings.Join(all, "\n")
}
