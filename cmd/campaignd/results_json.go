package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// resultsJSON converts the results.csv that write produces into one JSON object
// per line, without empty values. It holds one line in memory.
func resultsJSON(out io.Writer, write func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	defer r.Close() // ends the writer if this function returns early
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
