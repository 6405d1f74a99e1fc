package spreadsheet

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/plan/archive"
	"campaignd/internal/plan/spreadsheet/sheettest"
)

// convert reads a workbook without limits.
func convert(t *testing.T, data []byte, fits func([]string) bool) (string, []Dates, error) {
	t.Helper()
	var b strings.Builder
	s, err := Convert(t.Context(), bytes.NewReader(data), int64(len(data)), &b, Options{File: "a.xlsx", Fits: fits, Most: 1 << 30, Limit: "max_file_size"})
	return strings.TrimPrefix(b.String(), bom), s, err
}

// one returns a workbook with one sheet.
func one(data string, w sheettest.Workbook) []byte {
	w.Sheets = []sheettest.Sheet{{Name: "S", Data: data}}
	return w.Bytes()
}

func TestCellsAreWhatTheSheetShows(t *testing.T) {
	formats := []string{"00000", "0.00", "#,##0", "0%", `"+"0`, "000-000-000", "yyyy-mm-dd", "dd/mm/yyyy hh:mm", "h:mm", "[h]:mm", `0.0 "kg"`,
		"0.00E+00", "# ?/?", `[$€-C0A] #,##0.00`, `"yes";"yes";"no"`, "General", "@", `0;(0);"none"`, "#.##", "[Red]0;[Blue]-0", "m/d/yy", "[<=9999999]###-####;(###) ###-####", "0.##%", "mmm yyyy", ";;;"}
	at := func(code string) int { return slices.Index(formats, code) + 1 }
	for name, c := range map[string]struct{ cell, want string }{
		"shared text":                       {`<c t="s"><v>0</v></c>`, "José & <María>"},
		"text in pieces":                    {`<c t="s"><v>1</v></c>`, "Ana María"},
		"text with its pronunciation":       {`<c t="s"><v>2</v></c>`, "東京"},
		"escaped characters":                {`<c t="s"><v>3</v></c>`, "\"a\r\nb_x000D_\""},
		"inline text":                       {`<c t="inlineStr"><is><t>a,b "c"</t></is></c>`, `"a,b ""c"""`},
		"inline text in pieces":             {`<c t="inlineStr"><is><r><t>a</t></r><r><t>b</t></r></is></c>`, "ab"},
		"text of digits":                    {`<c t="inlineStr"><is><t>0034666777003</t></is></c>`, "0034666777003"},
		"whole number":                      {`<c><v>34666777003</v></c>`, "34666777003"},
		"whole number with exponent":        {`<c><v>3.4666777003E10</v></c>`, "34666777003"},
		"fifteen digits":                    {`<c><v>123456789012345</v></c>`, "123456789012345"},
		"sixteen digits":                    {`<c><v>1234567890123456</v></c>`, "1.23457E+15"},
		"negative":                          {`<c><v>-5</v></c>`, "-5"},
		"fraction":                          {`<c><v>12.5</v></c>`, "12.5"},
		"fraction with noise":               {`<c><v>0.30000000000000004</v></c>`, "0.3"},
		"a third":                           {`<c><v>0.3333333333333333</v></c>`, "#UNCERTAIN!"},
		"leading zeros":                     {`<c s="%d"><v>801</v></c>`, "00801"},
		"two decimals":                      {`<c s="%d"><v>2.675</v></c>`, "2.68"},
		"two decimals of a whole number":    {`<c s="%d"><v>13</v></c>`, "13.00"},
		"grouped digits":                    {`<c s="%d"><v>34666777003</v></c>`, "34666777003"},
		"percent":                           {`<c s="%d"><v>0.125</v></c>`, "13%"},
		"a plus sign in the format":         {`<c s="%d"><v>34666777003</v></c>`, "+34666777003"},
		"dashes in the format":              {`<c s="%d"><v>66677003</v></c>`, "066-677-003"},
		"date":                              {`<c s="%d"><v>46354</v></c>`, "2026-11-28"},
		"date with a time":                  {`<c s="%d"><v>46354.395833333336</v></c>`, "2026-11-28T09:30:00"},
		"time":                              {`<c s="%d"><v>0.5</v></c>`, "12:00:00"},
		"length of time":                    {`<c s="%d"><v>1.5</v></c>`, "#UNCERTAIN!"},
		"unit":                              {`<c s="%d"><v>12.34</v></c>`, "12.3 kg"},
		"exponent format, whole":            {`<c s="%d"><v>34666777003</v></c>`, "34666777003"},
		"fraction format":                   {`<c s="%d"><v>0.5</v></c>`, "#UNCERTAIN!"},
		"currency":                          {`<c s="%d"><v>1234.5</v></c>`, "€ 1234.50"},
		"a text in place of the number":     {`<c s="%d"><v>1</v></c>`, "#UNCERTAIN!"},
		"general":                           {`<c s="%d"><v>7</v></c>`, "7"},
		"number in a text column":           {`<c s="%d"><v>34666777003</v></c>`, "34666777003"},
		"negative section":                  {`<c s="%d"><v>-3</v></c>`, "(3)"},
		"optional decimals":                 {`<c s="%d"><v>1.5</v></c>`, "1.5"},
		"colors":                            {`<c s="%d"><v>-3</v></c>`, "-3"},
		"American date":                     {`<c s="%d"><v>46354</v></c>`, "2026-11-28"},
		"conditions":                        {`<c s="%d"><v>5551234</v></c>`, "5551234"},
		"optional decimals of a percentage": {`<c s="%d"><v>0.5</v></c>`, "50%"},
		"month":                             {`<c s="%d"><v>46327</v></c>`, "2026-11-01"},
		"nothing shown":                     {`<c s="%d"><v>1</v></c>`, "#UNCERTAIN!"},
		"date that no calendar has":         {`<c s="7"><v>60</v></c>`, "#UNCERTAIN!"},
		"ISO date":                          {`<c t="d"><v>2026-11-28T00:00:00</v></c>`, "2026-11-28"},
		"true":                              {`<c t="b"><v>1</v></c>`, "TRUE"},
		"false":                             {`<c t="b"><v>0</v></c>`, "FALSE"},
		"error":                             {`<c t="e"><v>#N/A</v></c>`, "#N/A"},
		"formula":                           {`<c><f>A1+1</f><v>34666777003</v></c>`, "34666777003"},
		"formula with a text":               {`<c t="str"><f>A1</f><v>Ana</v></c>`, "Ana"},
		"formula with an empty text":        {`<c t="str"><f>A1</f><v></v></c>`, ""},
		"formula without a value":           {`<c><f>A1</f></c>`, "#NO-VALUE!"},
		"formula with an empty value":       {`<c><f>A1</f><v/></c>`, "#NO-VALUE!"},
		"text formula without a value":      {`<c t="str"><f>A1</f></c>`, "#NO-VALUE!"},
		"a prefix before every name":        {`<x:c><x:v>5</x:v></x:c>`, "5"},
		"no number":                         {`<c><v>0x10</v></c>`, "#UNCERTAIN!"},
		"infinite":                          {`<c><v>1e999</v></c>`, "#UNCERTAIN!"},
		"a style that isn't there":          {`<c s="99"><v>5</v></c>`, "5"},
	} {
		t.Run(name, func(t *testing.T) {
			codes := map[string]string{"leading zeros": "00000", "two decimals": "0.00", "two decimals of a whole number": "0.00", "grouped digits": "#,##0", "percent": "0%",
				"a plus sign in the format": `"+"0`, "dashes in the format": "000-000-000", "date": "yyyy-mm-dd", "date with a time": "dd/mm/yyyy hh:mm", "time": "h:mm",
				"length of time": "[h]:mm", "unit": `0.0 "kg"`, "exponent format, whole": "0.00E+00", "fraction format": "# ?/?", "currency": `[$€-C0A] #,##0.00`,
				"a text in place of the number": `"yes";"yes";"no"`, "general": "General", "number in a text column": "@", "negative section": `0;(0);"none"`,
				"optional decimals": "#.##", "colors": "[Red]0;[Blue]-0", "American date": "m/d/yy", "conditions": "[<=9999999]###-####;(###) ###-####",
				"optional decimals of a percentage": "0.##%", "month": "mmm yyyy", "nothing shown": ";;;"}
			cell := c.cell
			if strings.Contains(cell, "%d") {
				cell = fmt.Sprintf(cell, at(codes[name]))
			}
			data := one(`<row r="1"><c t="inlineStr"><is><t>a</t></is></c><c t="inlineStr"><is><t>b</t></is></c></row><row r="2"><c t="inlineStr"><is><t>x</t></is></c>`+cell+`</row>`,
				sheettest.Workbook{Formats: formats, Texts: []string{`<t>José &amp; &lt;María&gt;</t>`, `<r><t>Ana </t></r><r><rPr/><t>María</t></r>`,
					`<t>東京</t><rPh sb="0" eb="2"><t>とうきょう</t></rPh>`, `<t>a_x000D_&#10;b_x005F_x000D_</t>`}})
			got, _, err := convert(t, data, nil)
			if want := "a,b\nx," + c.want + "\n"; err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

// Line n of the CSV is row n of the sheet, however many rows and cells are empty.
func TestLinesAreRows(t *testing.T) {
	data := one(`<row r="3"><c r="B3" t="inlineStr"><is><t>a</t></is></c><c r="C3" t="inlineStr"><is><t>b</t></is></c></row>
		<row r="4"/><row r="7"><c r="B7"><v>1</v></c></row><row r="8"><c r="E8"><v>2</v></c></row><row r="9"><c r="B9" t="inlineStr"><is><t>  </t></is></c></row>`, sheettest.Workbook{})
	got, _, err := convert(t, data, nil)
	if want := "\n\n,a,b\n\n\n\n,1,\n,,,,2\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestDatesAreCounted(t *testing.T) {
	data := one(`<row><c t="inlineStr"><is><t>day</t></is></c></row><row><c s="1"><v>46354</v></c></row><row><c s="1"><v>1</v></c></row><row><c s="1"><v>46355</v></c></row>`,
		sheettest.Workbook{Formats: []string{"dd.mm.yy"}, Is1904: true})
	got, dates, err := convert(t, data, nil)
	if want := "day\n2030-11-29\n1904-01-02\n2030-11-30\n"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if diff := cmp.Diff([]Dates{{Column: "day", Count: 3, Row: 2}}, dates); diff != "" {
		t.Errorf("dates (-want +got):\n%s", diff)
	}
}

func TestOnlyTheSheetThatFitsIsRead(t *testing.T) {
	cell := func(text string) string { return `<row><c t="inlineStr"><is><t>` + text + `</t></is></c></row>` }
	fits := func(columns []string) bool { return slices.Contains(columns, "phone") }
	for name, c := range map[string]struct {
		sheets     []sheettest.Sheet
		want, code string
		says       []string
	}{
		"one":                  {[]sheettest.Sheet{{Name: "A", Data: cell("phone")}}, "phone\n", "", nil},
		"the one that fits":    {[]sheettest.Sheet{{Name: "A", Data: cell("notes")}, {Name: "B", Data: cell("phone")}}, "phone\n", "", nil},
		"the others are empty": {[]sheettest.Sheet{{Name: "A"}, {Name: "B", Data: cell("telefono")}, {Name: "C"}}, "telefono\n", "", nil},
		"another is hidden":    {[]sheettest.Sheet{{Name: "A", State: "hidden", Data: cell("phone")}, {Name: "B", Data: cell("phone")}, {Name: "C", State: "veryHidden", Data: cell("phone")}}, "phone\n", "", nil},
		"two fit": {[]sheettest.Sheet{{Name: "May", Data: cell("phone")}, {Name: "June", Data: cell("phone")}}, "", "sheet-several",
			[]string{`several of its sheets have the columns that the layout uses ("May": "phone"; "June": "phone"); only one may be sent: delete or hide the others`}},
		"none fits": {[]sheettest.Sheet{{Name: "May", Data: cell("tel")}, {Name: "June", Data: cell("fono")}}, "", "sheet-none",
			[]string{`none of its sheets has the columns that the layout uses ("May": "tel"; "June": "fono")`}},
		"all are hidden": {[]sheettest.Sheet{{Name: "May", State: "hidden", Data: cell("phone")}}, "", "sheet-none", []string{"no sheet that can be seen has any cell"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := sheettest.Workbook{Sheets: c.sheets}
			got, _, err := convert(t, w.Bytes(), fits)
			wantRefusal(t, err, c.code, c.says...)
			if got != c.want {
				t.Errorf("read %q, want %q", got, c.want)
			}
		})
	}
}

// wantRefusal fails unless err refuses the workbook with that code, "" for no refusal.
func wantRefusal(t *testing.T, err error, code string, says ...string) {
	t.Helper()
	refused, ok := errors.AsType[*archive.Refused](err)
	switch {
	case code == "" && err == nil:
		return
	case !ok:
		t.Fatalf("got %v, want a refusal with %q", err, code)
	case refused.Problem.Code != code:
		t.Errorf("got %q, want the code %s", refused, code)
	}
	for _, part := range says {
		if !strings.Contains(refused.Error(), part) {
			t.Errorf("got %q, want %q in it", refused, part)
		}
	}
}

func TestWorkbooksAreRefused(t *testing.T) {
	good := `<row><c t="inlineStr"><is><t>phone</t></is></c></row>`
	for name, c := range map[string]struct {
		data []byte
		code string
		says string
	}{
		"hidden rows": {one(good+`<row hidden="1"><c><v>1</v></c></row><row hidden="1"/><row r="9" hidden="true"><c><v>2</v></c></row>`, sheettest.Workbook{}), "rows-hidden",
			"a.xlsx:2: 2 rows are hidden or filtered out, this is the first"},
		"rows out of order":       {one(good+`<row r="1"/>`, sheettest.Workbook{}), "xlsx-broken", `row "1" of sheet "S" is out of order`},
		"cells out of order":      {one(`<row><c r="B1"/><c r="A1"/></row>`, sheettest.Workbook{}), "xlsx-broken", `the cell "A1" is out of order`},
		"a column beyond":         {one(`<row><c r="XFE1"/></row>`, sheettest.Workbook{}), "xlsx-broken", `the cell "XFE1"`},
		"too many columns":        {one(`<row><c r="ALM1"><v>1</v></c></row>`, sheettest.Workbook{}), "columns-many", "1,000 columns"},
		"a text that isn't there": {one(`<row><c t="s"><v>7</v></c></row>`, sheettest.Workbook{}), "xlsx-broken", "has a text that isn't there"},
		"a negative text":         {one(`<row><c t="s"><v>-1</v></c></row>`, sheettest.Workbook{}), "xlsx-broken", "has a text that isn't there"},
		"no workbook":             {one(good, sheettest.Workbook{Parts: map[string]string{"xl/workbook.xml": ""}}), "archive-other", "is not a workbook"},
		"a sheet is missing":      {one(good, sheettest.Workbook{Parts: map[string]string{"xl/worksheets/sheet1.xml": ""}}), "xlsx-broken", `the sheet "S" is missing`},
		"XML that ends too early": {one(good, sheettest.Workbook{Parts: map[string]string{"xl/worksheets/sheet1.xml": `<worksheet><sheetData>` + good + `<row>`}}), "xlsx-broken",
			"ends too early"},
		"a document type": {one(good, sheettest.Workbook{Parts: map[string]string{"xl/sharedStrings.xml": `<!DOCTYPE sst [<!ENTITY a "aaaa">]><sst><si><t>&a;</t></si></sst>`}}),
			"xlsx-broken", "document type"},
		"another encoding": {one(good, sheettest.Workbook{Parts: map[string]string{"xl/styles.xml": `<?xml version="1.0" encoding="utf-16"?><styleSheet/>`}}), "xlsx-broken", "encoding"},
		"a long text":      {one(`<row><c t="inlineStr"><is><t>`+strings.Repeat("ab", 1<<20)+`</t></is></c></row>`, sheettest.Workbook{}), "xlsx-broken", "more bytes than a row may have"},
		"a bomb":           {one(good+strings.Repeat(`<row></row>`, 4<<20), sheettest.Workbook{}), "archive-bomb", "is a bomb"},
		"a binary workbook": {one(good, sheettest.Workbook{Parts: map[string]string{"_rels/.rels": `<Relationships><Relationship Type="x/officeDocument" Target="xl/workbook.bin"/></Relationships>`}}),
			"archive-other", "binary workbook"},
		"an old workbook": {[]byte("\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 and more"), "archive-other", "with a password"},
		"a CSV":           {[]byte("phone,name\n1,2\n"), "archive-other", "is neither a zip archive nor an .xlsx"},
		"cut off":         {one(good, sheettest.Workbook{})[:300], "archive-cut-off", "the upload may have been cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := convert(t, c.data, nil)
			wantRefusal(t, err, c.code, c.says)
		})
	}
}

func TestSheetObeysMaxFileSize(t *testing.T) {
	rows := [][]string{{"phone"}}
	for range 300 {
		rows = append(rows, []string{"34666777003"})
	}
	data := sheettest.Simple(rows...)
	_, err := Convert(t.Context(), bytes.NewReader(data), int64(len(data)), &strings.Builder{}, Options{File: "a.xlsx", Most: 2000, Limit: "max_file_size"})
	wantRefusal(t, err, "archive-large", "max_file_size allows")
}

func TestDecimalRounds(t *testing.T) {
	for _, c := range []struct {
		raw    string
		places int
		want   string
	}{
		{"2.675", 2, "2.68"}, {"0.005", 2, "0.01"}, {"0.004", 2, "0.00"}, {"99.995", 2, "100.00"}, {"1e-20", 2, "0.00"}, {"123456", 0, "123456"}, {"0.5", 0, "1"}, {"1234.5678", 3, "1234.568"},
	} {
		d, ok := parseDecimal(c.raw)
		if !ok {
			t.Fatal(c.raw)
		}
		r := d.round(c.places)
		got := r.integer()
		if c.places > 0 {
			got += "." + r.fraction(c.places)
		}
		if got != c.want {
			t.Errorf("%s to %d places is %s, want %s", c.raw, c.places, got, c.want)
		}
	}
}

// wantNothingElse fails the test if err is something else than nil or a refusal with code and message.
func wantNothingElse(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	refused, ok := errors.AsType[*archive.Refused](err)
	if !ok {
		t.Fatalf("got %T %v, want a refusal", err, err)
	}
	if refused.Problem.Code == "" {
		t.Errorf("refusal without code: %v", err)
	}
	if refused.Problem.Message == "" {
		t.Errorf("refusal without message: %+v", refused.Problem)
	}
}

func FuzzConvert(f *testing.F) {
	f.Add(sheettest.Simple([]string{"phone", "name"}, []string{"34666777003", "Ana"}))
	f.Add(one(`<row r="2"><c r="A2" s="1" t="n"><f>A1</f><v>46354.5</v></c></row>`, sheettest.Workbook{Formats: []string{`[$€-C0A]#,##0.00;[Red]-0`}, Texts: []string{`<t>a_x000D_</t>`}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, err := convert(t, data, nil)
		wantNothingElse(t, err)
	})
}

// FuzzSheetXML looks into the sheet, which a fuzzer of whole workbooks never reaches.
func FuzzSheetXML(f *testing.F) {
	f.Add(`<row r="1"><c r="A1" t="inlineStr"><is><t>phone</t></is></c></row><row r="3" hidden="1"><c r="A3" s="1"><v>46354.5</v></c></row>`, `dd/mm/yyyy`)
	f.Add(`<row><c t="s"><v>0</v></c><c><f>A1</f></c></row>`, `0.00;(0);"none"`)
	f.Add(`<row><c s="1"><v>-1.5E-3</v></c><c s="1"><v>999999</v></c></row>`, `[Red]#,##0.0?_€ %`)
	f.Fuzz(func(t *testing.T, rows, format string) {
		got, _, err := convert(t, one(rows, sheettest.Workbook{Formats: []string{format}, Texts: []string{"<t>a</t>"}}), nil)
		wantNothingElse(t, err)
		if err == nil && !strings.HasSuffix(got, "\n") {
			t.Fatalf("the last line has no end: %q", got)
		}
	})
}

// FuzzDecimal compares plain numbers with strconv.
func FuzzDecimal(f *testing.F) {
	for _, v := range []float64{0, 1, -1, 0.1, 34666777003, 1e14, 123456.789, 1e-9} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v float64) {
		raw := fmt.Sprintf("%.15g", v)
		d, ok := parseDecimal(raw)
		if !ok {
			return
		}
		if math.Abs(v) < 1e15 && math.Abs(v) > 1e-15 || v == 0 {
			if got, want := d.sign()+d.plain(), fmt.Sprintf("%.*f", max(0, len(d.digits)-d.point), v); got != want && v != 0 {
				t.Fatalf("%s is %s, want %s", raw, got, want)
			}
		}
		for places := range 4 {
			d.round(places).fraction(places)
		}
	})
}
