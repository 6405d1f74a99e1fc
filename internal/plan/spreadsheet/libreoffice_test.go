package spreadsheet

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// typed is a Flat XML spreadsheet with a cell of each kind, which LibreOffice saves as .xlsx.
const typed = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0"
 xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
<office:automatic-styles>
 <number:date-style style:name="D"><number:day number:style="long"/><number:text>/</number:text><number:month number:style="long"/><number:text>/</number:text><number:year number:style="long"/></number:date-style>
 <number:number-style style:name="Z"><number:number number:min-integer-digits="5" number:decimal-places="0"/></number:number-style>
 <style:style style:name="date" style:family="table-cell" style:data-style-name="D"/>
 <style:style style:name="zip" style:family="table-cell" style:data-style-name="Z"/>
</office:automatic-styles>
<office:body><office:spreadsheet><table:table table:name="List">
 <table:table-row><table:table-cell office:value-type="string"><text:p>phone</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>name</text:p></table:table-cell>
  <table:table-cell office:value-type="string"><text:p>day</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>zip</text:p></table:table-cell>
  <table:table-cell office:value-type="string"><text:p>sum</text:p></table:table-cell></table:table-row>
 <table:table-row><table:table-cell office:value-type="float" office:value="34666777003"><text:p>34666777003</text:p></table:table-cell>
  <table:table-cell office:value-type="string"><text:p>Ana "María", &amp; Cía</text:p></table:table-cell>
  <table:table-cell table:style-name="date" office:value-type="date" office:date-value="2026-11-28"><text:p>28/11/2026</text:p></table:table-cell>
  <table:table-cell table:style-name="zip" office:value-type="float" office:value="801"><text:p>00801</text:p></table:table-cell>
  <table:table-cell table:formula="of:=[.A2]+1" office:value-type="float" office:value="34666777004"><text:p>34666777004</text:p></table:table-cell></table:table-row>
</table:table></office:spreadsheet></office:body></office:document>`

// A workbook of LibreOffice shows what its sheet showed. Needs Debian's libreoffice-calc-nogui.
func TestLibreOfficeWorkbook(t *testing.T) {
	soffice, err := exec.LookPath("soffice")
	if err != nil {
		t.Skip("soffice isn't installed")
	}
	dir := t.TempDir()
	from := filepath.Join(dir, "list.fods")
	if err := os.WriteFile(from, []byte(typed), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(soffice, "-env:UserInstallation=file://"+dir+"/profile", "--headless", "--convert-to", "xlsx", "--outdir", dir, from)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "list.xlsx"))
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := convert(t, data, nil)
	want := "phone,name,day,zip,sum\n34666777003,\"Ana \"\"María\"\", & Cía\",2026-11-28,00801,34666777004\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}
