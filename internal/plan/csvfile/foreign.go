package csvfile

import (
	"bytes"
	"strings"
)

// foreign describes a file that is no text of rows at all. The zero value is for
// files that may be a CSV.
type foreign struct {
	name   string // with its article: "a gzip file"
	advice string
}

const (
	adviceExcel   = `in Excel choose File, Save As, "CSV UTF-8 (Comma delimited)", and drop that file`
	adviceUnpack  = "unpack it and drop the CSV in it"
	adviceGzip    = "give it a name that ends in .csv.gz, or unpack it and drop the CSV in it"
	adviceZip     = "give it a name that ends in .zip, or unpack it and drop the CSV in it"
	adviceXLSX    = `give it a name that ends in .xlsx, or in Excel choose File, Save As, "CSV UTF-8 (Comma delimited)", and drop that file`
	adviceUTF8    = "save it as UTF-8"
	adviceDecrypt = "decrypt it and drop the CSV"
	adviceExport  = "export the list as CSV with the encoding UTF-8"
)

// recognize returns what begins with the bytes of b, the first block of a file.
func recognize(b []byte) foreign {
	for _, known := range []struct {
		magic string
		foreign
	}{
		{"\xFF\xFE\x00\x00", foreign{"UTF-32 text", adviceUTF8}},
		{"\x00\x00\xFE\xFF", foreign{"UTF-32 text", adviceUTF8}},
		{"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", foreign{"an Excel workbook of the old format (.xls) or another Office document", adviceExcel}},
		{"PK\x03\x04", zipContent(b)},
		{"PK\x05\x06", foreign{"an empty zip archive", adviceUnpack}},
		{"\x1F\x8B", foreign{"a gzip file", adviceGzip}},
		{"BZh", foreign{"a bzip2 file", adviceUnpack}},
		{"\xFD7zXZ\x00", foreign{"an xz file", adviceUnpack}},
		{"\x28\xB5\x2F\xFD", foreign{"a zstd file", adviceUnpack}},
		{"7z\xBC\xAF\x27\x1C", foreign{"a 7-Zip archive", adviceUnpack}},
		{"Rar!\x1A\x07", foreign{"a RAR archive", adviceUnpack}},
		{"%PDF-", foreign{"a PDF document", adviceExport}},
		{"-----BEGIN PGP ", foreign{"a PGP message", adviceDecrypt}},
		{"{\\rtf", foreign{"an RTF document", adviceExport}},
		{"\x89PNG\r\n", foreign{"an image", adviceExport}},
		{"\xFF\xD8\xFF", foreign{"an image", adviceExport}},
		{"SQLite format 3\x00", foreign{"an SQLite database", adviceExport}},
		{"BEGIN:VCARD", foreign{"a vCard file", adviceExport}},
	} {
		if bytes.HasPrefix(b, []byte(known.magic)) {
			return known.foreign
		}
	}
	if bytes.HasPrefix(b, []byte(bomUTF16LE)) || bytes.HasPrefix(b, []byte(bomUTF16BE)) {
		return foreign{}
	}
	if kind := wideWithoutMark(b); kind != "" {
		return foreign{kind + " without a byte order mark", adviceUTF8}
	}
	return markup(b)
}

// zipContent names the kind of a zip archive by the file names in its first block.
func zipContent(b []byte) foreign {
	has := func(name string) bool { return bytes.Contains(b, []byte(name)) }
	switch {
	case has("xl/"):
		return foreign{"an Excel workbook (.xlsx)", adviceXLSX}
	case has("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"):
		return foreign{"an OpenDocument spreadsheet (.ods)", adviceExport}
	case has("word/"):
		return foreign{"a Word document (.docx)", adviceExport}
	}
	return foreign{"a zip archive", adviceZip}
}

// wideWithoutMark returns UTF-16 or UTF-32 for text whose NULs are at the places of
// the high bytes of plain letters, "" for anything else.
func wideWithoutMark(b []byte) string {
	b = b[:min(len(b), 4096)]
	if len(b) < 8 {
		return ""
	}
	var nul [4]int
	for i, c := range b {
		if c == 0 {
			nul[i%4]++
		}
	}
	most := func(places ...int) bool { // NUL there in nearly every unit
		for _, p := range places {
			if nul[p]*20 < len(b)/4*19 {
				return false
			}
		}
		return true
	}
	few := func(places ...int) bool {
		for _, p := range places {
			if nul[p]*20 > len(b)/4 {
				return false
			}
		}
		return true
	}
	switch {
	case most(1, 2, 3) && few(0), most(0, 1, 2) && few(3):
		return "UTF-32 text"
	case most(1, 3) && few(0, 2), most(0, 2) && few(1, 3):
		return "UTF-16 text"
	}
	return ""
}

// markup recognizes web pages, XML and JSON by the beginning of the text.
func markup(b []byte) foreign {
	b = bytes.TrimLeft(bytes.TrimPrefix(b, []byte(bomUTF8)), " \t\r\n")
	head := strings.ToLower(string(b[:min(len(b), 1024)]))
	html := strings.Contains(head, "<html") || strings.Contains(head, "<!doctype html")
	switch {
	case strings.HasPrefix(head, "<?xml") && strings.Contains(head, "urn:schemas-microsoft-com:office:spreadsheet"):
		return foreign{"an Excel workbook saved as XML", adviceExcel}
	case strings.HasPrefix(head, "<") && html:
		return webPage()
	case strings.HasPrefix(head, "<?xml"):
		return foreign{"an XML document", adviceExport}
	case strings.HasPrefix(head, "{\""), strings.HasPrefix(head, "[{"), strings.HasPrefix(head, "{\n"), strings.HasPrefix(head, "{\r"):
		return foreign{"a JSON document", adviceExport}
	}
	for _, tag := range []string{"<head", "<body", "<meta", "<table", "<div", "<script"} {
		if strings.HasPrefix(head, tag) {
			return webPage()
		}
	}
	return foreign{}
}

func webPage() foreign {
	return foreign{"a web page (HTML)", "a login page or an error page may have been saved in place of the list; export the list as CSV again"}
}
