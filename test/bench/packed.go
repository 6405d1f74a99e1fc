package main

import (
	"archive/zip"
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/thedatashed/xlsxreader"
)

// gzipFile packs a CSV.
func gzipFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	z := gzip.NewWriter(out)
	_, err = io.Copy(z, in)
	return errors.Join(err, z.Close(), out.Close(), os.Remove(from))
}

// readGzip is the reference: gunzip and encoding/csv over the same file.
func readGzip(path string) (time.Duration, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	begin := time.Now()
	z, err := gzip.NewReader(f)
	if err != nil {
		return 0, err
	}
	if err := readRecords(z); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// workbook makes an .xlsx of a CSV as Excel would: numbers as numbers, texts shared.
func workbook(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	z := zip.NewWriter(out)
	for name, text := range map[string]string{
		"[Content_Types].xml": `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="a" ` +
			`Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">` +
			`<sheets><sheet name="List" sheetId="1" r:id="a"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="a" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="t" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings" Target="sharedStrings.xml"/>` +
			`<Relationship Id="s" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>`,
		"xl/styles.xml": `<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><cellXfs><xf numFmtId="0"/></cellXfs></styleSheet>`,
	} {
		w, err := z.Create(name)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, text); err != nil {
			return err
		}
	}
	texts, err := writeSheet(z, csv.NewReader(in))
	if err != nil {
		return err
	}
	w, err := z.Create("xl/sharedStrings.xml")
	if err != nil {
		return err
	}
	b := bufio.NewWriter(w)
	b.WriteString(`<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">`)
	for _, text := range texts {
		fmt.Fprintf(b, "<si><t>%s</t></si>", text)
	}
	b.WriteString("</sst>")
	return errors.Join(b.Flush(), z.Close(), out.Close(), os.Remove(from))
}

// writeSheet writes the cells of a CSV and returns the shared texts.
func writeSheet(z *zip.Writer, r *csv.Reader) ([]string, error) {
	w, err := z.Create("xl/worksheets/sheet1.xml")
	if err != nil {
		return nil, err
	}
	var texts []string
	known := map[string]int{}
	b := bufio.NewWriter(w)
	b.WriteString(`<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>`)
	for row := 1; ; row++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(b, `<row r="%d">`, row)
		for c, cell := range record {
			if strings.Trim(cell, "0123456789") == "" {
				fmt.Fprintf(b, `<c r="%c%d"><v>%s</v></c>`, 'A'+c, row, cell)
				continue
			}
			n, ok := known[cell]
			if !ok {
				n = len(texts)
				known[cell], texts = n, append(texts, cell)
			}
			fmt.Fprintf(b, `<c r="%c%d" t="s"><v>%d</v></c>`, 'A'+c, row, n)
		}
		b.WriteString(`</row>`)
	}
	b.WriteString(`</sheetData></worksheet>`)
	return texts, b.Flush()
}

// readWorkbook is the reference: a library alone over the same workbook.
func readWorkbook(path string) (time.Duration, error) {
	begin := time.Now()
	f, err := xlsxreader.OpenFile(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for row := range f.ReadRows(f.Sheets[0]) {
		if row.Error != nil {
			return 0, row.Error
		}
	}
	return time.Since(begin), nil
}
