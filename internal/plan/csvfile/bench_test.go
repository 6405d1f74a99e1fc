package csvfile

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// benchFile returns a CSV of the shape that docs/performance.md measures: 46 bytes a row.
func benchFile(rows int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"John", "Alexandra", "María", "Bob", "Christopher", "Jane", "Alice"}
	var b bytes.Buffer
	b.WriteString("contactCode,channelType,name,ticket_id,edad\n")
	for range rows {
		fmt.Fprintf(&b, "34%09d,cloud_api,%s %d,%d,%d\n", rnd.IntN(1e9), names[rnd.IntN(len(names))], rnd.IntN(1000), rnd.IntN(1e6), 18+rnd.IntN(70))
	}
	return b.Bytes()
}

const benchRows = 1_000_000

func BenchmarkReader(b *testing.B) {
	data := benchFile(benchRows)
	info, err := Inspect(b.Context(), bytes.NewReader(data), int64(len(data)), nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r, _, err := NewReader(bytes.NewReader(data), info, Options{Wanted: []string{"contactCode", "name"}})
		if err != nil {
			b.Fatal(err)
		}
		var batch Batch
		rows := 0
		for err = r.ReadBatch(&batch); err == nil; err = r.ReadBatch(&batch) {
			rows += batch.Len()
		}
		if err != io.EOF || rows != benchRows {
			b.Fatal(rows, err)
		}
	}
}

func BenchmarkEncodingCSV(b *testing.B) {
	data := benchFile(benchRows)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(data))
		r.ReuseRecord = true
		for {
			if _, err := r.Read(); err == io.EOF {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkEncodingCSVIntoBatch measures a reader that is built on encoding/csv.
func BenchmarkEncodingCSVIntoBatch(b *testing.B) {
	data := benchFile(benchRows)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		r := csv.NewReader(bytes.NewReader(data))
		r.ReuseRecord = true
		var batch Batch
		for {
			cells, err := r.Read()
			if err == io.EOF {
				break
			}
			line, _ := r.FieldPos(0)
			batch.records = append(batch.records, record{line: uint32(line), first: uint32(len(batch.cells))})
			for _, c := range cells {
				start := uint32(len(batch.data))
				batch.data = append(batch.data, c...)
				batch.cells = append(batch.cells, span{start, uint32(len(batch.data))})
			}
			if len(batch.data) > blockSize {
				batch.Reset()
			}
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	data := benchFile(benchRows)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Inspect(b.Context(), bytes.NewReader(data), int64(len(data)), nil); err != nil {
			b.Fatal(err)
		}
	}
}
