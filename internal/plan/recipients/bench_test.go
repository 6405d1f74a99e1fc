package recipients

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/contact"
	"campaignd/internal/plan/csvfile"
	"campaignd/internal/plan/document"
)

const benchRows = 1_000_000

// benchFile returns a CSV of the shape that docs/performance.md measures.
func benchFile(rows int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"John", "Alexandra", "María", "Bob", "Christopher", "Jane", "Alice"}
	var b bytes.Buffer
	b.WriteString("contactCode,channelType,name,ticket_id,edad\n")
	for i := range rows {
		fmt.Fprintf(&b, "346%08d,cloud_api,%s %d,%d,%d\n", i, names[rnd.IntN(len(names))], rnd.IntN(1000), rnd.IntN(1e6), 18+rnd.IntN(70))
	}
	return b.Bytes()
}

func benchChecker(b *testing.B, columns []string, rules contact.Rules) *Checker {
	b.Helper()
	layout, problems, _ := document.ParseLayout("x.layout.json", []byte(`{"contact":{"contactCode":"{{contactCode}}","channelType":"{{channelType}}"},
		"customFields":{"name":"{{name}}","ticketId":"{{ticket_id}}","age":"{{edad}}"}}`))
	if problems.Count > 0 {
		b.Fatal(problems)
	}
	vars := []string{"name", "ticketId", "age"}
	t, err := campaign.Compile(json.RawMessage(`{"body":"Hello {{name}}, your ticket {{ticketId}} is ready. Age {{age}}."}`), vars, nil)
	if err != nil {
		b.Fatal(err)
	}
	check := func(contact, content []byte) error {
		if len(content) > 4096 {
			return errors.New("too long")
		}
		return nil
	}
	r, err := New(Spec{Layout: layout, Columns: columns, Variables: vars, Dedupe: true, MaxBadRows: 0.1,
		Channels: []Channel{{Name: "cloud_api", Templates: []*campaign.Template{t}, Contacts: rules, Check: check}}})
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// BenchmarkCheck checks and renders a million rows that were read before.
func BenchmarkCheck(b *testing.B) {
	phone, err := contact.New(contact.Phone, "ES", false)
	if err != nil {
		b.Fatal(err)
	}
	for name, rules := range map[string]contact.Rules{"any": {}, "phone": phone} {
		b.Run(name, func(b *testing.B) { benchCheck(b, rules) })
	}
}

func benchCheck(b *testing.B, rules contact.Rules) {
	reader, batches := benchBatches(b)
	r := benchChecker(b, reader.Columns(), rules)
	var out Checked
	for b.Loop() {
		for _, batch := range batches {
			r.Check(reader, batch, &out)
			if len(out.Refusals) > 0 {
				b.Fatal(out.Refusals[0])
			}
		}
	}
}

func benchBatches(b *testing.B) (*csvfile.Reader, []*csvfile.Batch) {
	b.Helper()
	data := benchFile(benchRows)
	info, err := csvfile.Inspect(b.Context(), bytes.NewReader(data), int64(len(data)), nil)
	if err != nil {
		b.Fatal(err)
	}
	reader, _, err := csvfile.NewReader(bytes.NewReader(data), info, csvfile.Options{})
	if err != nil {
		b.Fatal(err)
	}
	var batches []*csvfile.Batch
	for {
		batch := new(csvfile.Batch)
		if err := reader.ReadBatch(batch); err == io.EOF {
			return reader, batches
		} else if err != nil {
			b.Fatal(err)
		}
		batches = append(batches, batch)
	}
}

type discardWriter struct{}

func (discardWriter) Chunk(*campaign.Rows) error               { return nil }
func (discardWriter) Refused([]campaign.Refusal, []byte) error { return nil }

// BenchmarkAssemble returns the part that one goroutine does in order: duplicates and chunks.
func BenchmarkAssemble(b *testing.B) {
	reader, batches := benchBatches(b)
	r := benchChecker(b, reader.Columns(), contact.Rules{})
	outs := make([]Checked, len(batches))
	for i, batch := range batches {
		r.Check(reader, batch, &outs[i])
	}
	for b.Loop() {
		a := r.Assemble(benchRows, new(Memory), discardWriter{})
		for i := range outs {
			if err := a.Add(&outs[i]); err != nil {
				b.Fatal(err)
			}
		}
		if err := a.Finish(); err != nil || a.counts.Accepted != benchRows {
			b.Fatal(err, a.counts)
		}
	}
}

// BenchmarkDedupe is exact de-duplication alone.
func BenchmarkDedupe(b *testing.B) {
	var keys []byte
	var ends []int
	var hashes []uint64
	seed := maphash.MakeSeed()
	for i := range 10 * benchRows {
		contact := fmt.Appendf(nil, "34%09d", i)
		keys = appendKey(keys, uint32(i), 0, contact)
		ends = append(ends, len(keys))
		hashes = append(hashes, maphash.Bytes(seed, contact))
	}
	for b.Loop() {
		x := newIndex(10*benchRows, &Memory{data: make([]byte, 0, len(keys))})
		if _, err := x.write(keys); err != nil {
			b.Fatal(err)
		}
		start := 0
		for i, end := range ends {
			if i%prefetchRows == 0 {
				x.prefetch(hashes[i:min(i+prefetchRows, len(hashes))])
			}
			if line, err := x.add(keys[start:end], int64(start), hashes[i]); line != 0 || err != nil {
				b.Fatal(line, err)
			}
			start = end
		}
	}
}

// BenchmarkWay measures intake of a file without the store: inspect,
// read, check by two workers, assemble in order. The ratio is to encoding/csv
// with ReuseRecord over the same bytes in the same run.
func BenchmarkWay(b *testing.B) {
	data := benchFile(benchRows)
	b.Run("encoding-csv", func(b *testing.B) {
		for b.Loop() {
			r := csv.NewReader(bytes.NewReader(data))
			r.ReuseRecord = true
			for {
				if _, err := r.Read(); err == io.EOF {
					break
				}
			}
		}
	})
	b.Run("campaignd", func(b *testing.B) {
		for b.Loop() {
			fullPath(b, data)
		}
	})
}

// fullPath runs data through both rooms as intake would.
func fullPath(b *testing.B, data []byte) {
	info, err := csvfile.Inspect(b.Context(), bytes.NewReader(data), int64(len(data)), nil)
	if err != nil {
		b.Fatal(err)
	}
	reader, _, err := csvfile.NewReader(bytes.NewReader(data), info, csvfile.Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := benchChecker(b, reader.Columns(), contact.Rules{})
	type job struct {
		batch csvfile.Batch
		out   Checked
		done  chan struct{}
	}
	const inFlight = 6
	free, work, order := make(chan *job, inFlight), make(chan *job, inFlight), make(chan *job, inFlight)
	for range inFlight {
		free <- &job{done: make(chan struct{}, 1)}
	}
	go func() {
		defer close(order)
		defer close(work)
		for j := range free {
			if err := reader.ReadBatch(&j.batch); err != nil {
				return
			}
			order <- j
			work <- j
		}
	}()
	for range 2 {
		go func() {
			for j := range work {
				r.Check(reader, &j.batch, &j.out)
				j.done <- struct{}{}
			}
		}()
	}
	a := r.Assemble(info.RowBound(), new(Memory), discardWriter{})
	for j := range order {
		<-j.done
		if err := a.Add(&j.out); err != nil {
			b.Fatal(err)
		}
		free <- j
	}
	if err := a.Finish(); err != nil || a.counts.Accepted != benchRows {
		b.Fatal(err, a.counts)
	}
}
