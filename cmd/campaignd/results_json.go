package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// resultsJSON writes each line of results.csv, which write brings, as a JSON object on a line of its own; a
// value that is empty is left out. It holds one line at a time.
func resultsJSON(out io.Writer, write func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	defer r.Close() // ends the writer where this ends early
	in, enc := csv.NewReader(r), json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	header, err := in.Read()
	for err == nil {
		var record []string
		if record, err = in.Read(); err != nil {
			break
		}
		line := map[string]string{}
		for i, value := range record {
			if value != "" {
				line[header[i]] = value
			}
		}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("print JSON: %w", err)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
