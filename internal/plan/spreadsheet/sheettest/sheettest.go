// Package sheettest makes workbooks for tests, byte by byte where a spreadsheet program would never
// write them so. Errors panic: they are mistakes of a test.
package sheettest

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
)

// Sheet is one sheet of a workbook.
type Sheet struct {
	Name  string
	State string // "", hidden or veryHidden
	Data  string // the XML in sheetData
}

// Workbook is what a workbook has besides the usual.
type Workbook struct {
	Sheets  []Sheet
	Formats []string          // number formats; the style n of a cell, from 1, is the n-th
	Texts   []string          // XML of the shared texts
	Is1904  bool              // days count from 1904
	Parts   map[string]string // more parts, or others in their place; "" leaves one out
}

// Simple returns a workbook with one sheet of texts.
func Simple(rows ...[]string) []byte {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, `<row r="%d">`, i+1)
		for c, text := range row {
			if text != "" {
				fmt.Fprintf(&b, `<c r="%c%d" t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>`, 'A'+c, i+1, escape(text))
			}
		}
		b.WriteString(`</row>`)
	}
	w := Workbook{Sheets: []Sheet{{Name: "Sheet1", Data: b.String()}}}
	return w.Bytes()
}

func escape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;").Replace(text)
}

const (
	head  = `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>` + "\n"
	space = `http://schemas.openxmlformats.org/spreadsheetml/2006/main`
	rel   = `http://schemas.openxmlformats.org/officeDocument/2006/relationships`
	links = head + `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">`
)

// Bytes returns the workbook.
func (w *Workbook) Bytes() []byte {
	var sheets, sheetLinks strings.Builder
	parts := map[string]string{
		"[Content_Types].xml": head + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>`,
		"_rels/.rels":         links + `<Relationship Id="rId1" Type="` + rel + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`,
	}
	order := []string{"[Content_Types].xml", "_rels/.rels", "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml", "xl/sharedStrings.xml"}
	for i, s := range w.Sheets {
		state := ""
		if s.State != "" {
			state = ` state="` + s.State + `"`
		}
		fmt.Fprintf(&sheets, `<sheet name="%s" sheetId="%d"%s r:id="rId%d"/>`, escape(s.Name), i+1, state, i+1)
		fmt.Fprintf(&sheetLinks, `<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, i+1, rel, i+1)
		name := fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)
		parts[name] = head + `<worksheet xmlns="` + space + `"><sheetData>` + s.Data + `</sheetData></worksheet>`
		order = append(order, name)
	}
	date := ""
	if w.Is1904 {
		date = `<workbookPr date1904="1"/>`
	}
	parts["xl/workbook.xml"] = head + `<workbook xmlns="` + space + `" xmlns:r="` + rel + `">` + date + `<sheets>` + sheets.String() + `</sheets></workbook>`
	parts["xl/_rels/workbook.xml.rels"] = links + sheetLinks.String() + `<Relationship Id="t" Type="` + rel + `/sharedStrings" Target="/xl/sharedStrings.xml"/>` +
		`<Relationship Id="s" Type="` + rel + `/styles" Target="styles.xml"/></Relationships>`
	parts["xl/styles.xml"] = w.styles()
	parts["xl/sharedStrings.xml"] = head + `<sst xmlns="` + space + `"><si>` + strings.Join(w.Texts, `</si><si>`) + `</si></sst>`
	for name, text := range w.Parts {
		if _, known := parts[name]; !known {
			order = append(order, name)
		}
		parts[name] = text
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range order {
		if parts[name] == "" {
			continue
		}
		f, err := z.Create(name)
		must(err)
		_, err = f.Write([]byte(parts[name]))
		must(err)
	}
	must(z.Close())
	return b.Bytes()
}

func (w *Workbook) styles() string {
	var formats, styles strings.Builder
	for i, code := range w.Formats {
		fmt.Fprintf(&formats, `<numFmt numFmtId="%d" formatCode="%s"/>`, 164+i, strings.ReplaceAll(escape(code), `"`, "&quot;"))
		fmt.Fprintf(&styles, `<xf numFmtId="%d"/>`, 164+i)
	}
	return head + `<styleSheet xmlns="` + space + `"><numFmts>` + formats.String() + `</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>` + styles.String() + `</cellXfs></styleSheet>`
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
