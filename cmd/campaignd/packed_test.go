package main

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"campaignd/internal/plan/spreadsheet/sheettest"
)

// packCommands make packed files for scripts.
func packCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"gzipfile": gzipFile, "zipfile": zipFile, "workbook": workbook}
}

func writeFile(ts *testscript.TestScript, name string, data []byte) {
	ts.Check(os.WriteFile(ts.MkAbs(name), data, 0o644))
}

// gzipFile is "gzipfile FROM TO".
func gzipFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: gzipfile FROM TO")
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := io.WriteString(z, ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(z.Close())
	writeFile(ts, args[1], b.Bytes())
}

// zipFile is "zipfile TO FILE NAME...": each FILE is in the zip under its NAME.
func zipFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args)%2 != 1 {
		ts.Fatalf("usage: zipfile TO FILE NAME...")
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 1; i < len(args); i += 2 {
		w, err := z.Create(args[i+1])
		ts.Check(err)
		_, err = io.WriteString(w, ts.ReadFile(args[i]))
		ts.Check(err)
	}
	ts.Check(z.Close())
	writeFile(ts, args[0], b.Bytes())
}

// workbook is "workbook TO CSV": the cells of the CSV as texts; a blank line is an empty row.
func workbook(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: workbook TO CSV")
	}
	var rows [][]string
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		var row []string
		if line = strings.TrimSpace(line); line != "" {
			var err error
			row, err = csv.NewReader(strings.NewReader(line)).Read()
			ts.Check(err)
		}
		rows = append(rows, row)
	}
	writeFile(ts, args[0], sheettest.Simple(rows...))
}
