package recipients

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"campaignd/internal/plan/csvfile"
)

// FuzzRecipients takes any rows: each must end as exactly one of accepted, rejected
// and duplicate, and nothing that can't be sent may be accepted.
func FuzzRecipients(f *testing.F) {
	for _, s := range []string{"1,sms,a\n1,sms,b\n", "3.4E+10,sms,a\n", " ,sms,a\n", "1,fax,\"x\ny\"\n2,cloud_api,c", "1,sms", "\u00a01,sms,x\n", "\xff,sms,x\n", "1,sms,x\"y\n"} {
		f.Add([]byte(s), uint8(2))
	}
	f.Fuzz(func(t *testing.T, body []byte, most uint8) {
		data := append([]byte(header), body...)
		info, err := csvfile.Inspect(t.Context(), bytes.NewReader(data), int64(len(data)), nil)
		if err != nil {
			t.Fatal(err)
		}
		reader, problems, err := csvfile.NewReader(bytes.NewReader(data), info, csvfile.Options{Wanted: []string{"contactCode", "name"}})
		if err != nil {
			t.Fatal(err)
		}
		if problems.Count > 0 {
			return
		}
		spec := testSpec(t, plainLayout, nil)
		spec.Columns = reader.Columns()
		r, err := New(spec)
		if err != nil {
			t.Fatal(err)
		}
		reader.LimitBatch(int(most))
		writer := &recordingWriter{t: t, spec: spec}
		a := r.Assemble(info.RowBound(), new(Memory), writer)
		var batch csvfile.Batch
		var out Checked
		total := 0
		for {
			err := reader.ReadBatch(&batch)
			var broken *csvfile.Broken
			if errors.As(err, &broken) {
				return
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			total += batch.Len()
			r.Check(reader, &batch, &out)
			if err := a.Add(&out); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Finish(); err != nil {
			t.Fatal(err)
		}
		ends := map[uint32]bool{}
		for _, l := range writer.lines {
			ends[l] = true
		}
		for _, w := range writer.refusals {
			ends[w.Line] = true
			if w.Reason == "" {
				t.Errorf("line %d is refused without a reason", w.Line)
			}
		}
		switch {
		case len(ends) != total:
			t.Errorf("%d rows: len(ends) = %v, want %v", total, len(ends), total)
		case len(writer.lines)+len(writer.refusals) != total:
			t.Errorf("%d rows: len(writer.lines) + len(writer.refusals) = %v, want %v", total, len(writer.lines)+len(writer.refusals), total)
		}
		seen := map[string]bool{}
		for _, row := range writer.rows {
			_, rest, _ := strings.Cut(row, " ")
			key := rest[:strings.IndexByte(rest, '"')]
			if seen[key] {
				t.Errorf("%q twice", key)
			}
			seen[key] = true
		}
	})
}
