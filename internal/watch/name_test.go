package watch

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"campaignd/internal/campaign"
)

func TestParseName(t *testing.T) {
	long := strings.Repeat("n", 200)
	for file, want := range map[string]Name{
		"a.csv":                          {Kind: KindCSV, Base: "a"},
		"a.CsV":                          {Kind: KindCSV, Base: "a"},
		"a.b.csv":                        {Kind: KindCSV, Base: "a.b"},
		"a.csv.csv":                      {Kind: KindCSV, Base: "a.csv"},
		"a.layout.json":                  {Kind: KindLayout, Base: "a"},
		"a.schedule.json":                {Kind: KindSidecar, Base: "a"},
		"a.suppress.csv":                 {Kind: KindControl, Base: "a", Action: ActionSuppress},
		"a.SUPPRESS.CSV":                 {Kind: KindControl, Base: "a", Action: ActionSuppress},
		"suppress.csv":                   {Kind: KindBadName},
		"july.supress.csv":               {Kind: KindBadName},
		"july_suppress (1).csv.gz":       {Kind: KindBadName},
		"Copy of suppressed.xlsx":        {Kind: KindBadName},
		"compress.csv":                   {Kind: KindCSV, Base: "compress"},
		"layout.json":                    {},
		"a.json":                         {},
		"a.cancel":                       {Kind: KindControl, Base: "a", Action: ActionCancel},
		"a.20261124-000001.cancel":       {Kind: KindControl, Base: "a", ID: "20261124-000001", Action: ActionCancel},
		"a.20261124-1234567.Resume":      {Kind: KindControl, Base: "a", ID: "20261124-1234567", Action: ActionResume},
		"20261124-000001.pause":          {Kind: KindControl, Base: "20261124-000001", Action: ActionPause},
		"a.20261324-000001.pause":        {Kind: KindControl, Base: "a.20261324-000001", Action: ActionPause},
		"a.20261124-000001.suppress.csv": {Kind: KindControl, Base: "a.20261124-000001", Action: ActionSuppress},
		"teléfono ñ.csv":                 {Kind: KindCSV, Base: "teléfono ñ"},
		"-rf.csv":                        {Kind: KindCSV, Base: "-rf"},
		"a .csv":                         {Kind: KindCSV, Base: "a "},
		long + ".csv":                    {Kind: KindCSV, Base: long},
		long + ".20261124-000001.cancel": {Kind: KindControl, Base: long, ID: "20261124-000001", Action: ActionCancel},
		long + "n.csv":                   {Kind: KindBadName},
		"\xc3\x28.csv":                   {Kind: KindBadName},
		"a\n.csv":                        {Kind: KindBadName},
		"a\x7f.csv":                      {Kind: KindBadName},
		"a\u009b.layout.json":            {Kind: KindBadName},
		".csv":                           {Kind: KindIgnored},
		"..csv":                          {Kind: KindIgnored},
		"...csv":                         {Kind: KindIgnored},
		".a.csv":                         {Kind: KindIgnored},
		"a.csv.part":                     {Kind: KindTemporary, Base: "a"},
		"a.schedule.json.part":           {Kind: KindTemporary, Base: "a"},
		"a.cancel.part":                  {Kind: KindTemporary},
		"a.part":                         {Kind: KindTemporary},
		"a.csv.TMP":                      {Kind: KindTemporary, Base: "a"},
		"a.csv~":                         {Kind: KindTemporary, Base: "a"},
		"a.csv.1a2b3c4d.partial":         {Kind: KindTemporary},
		"a.note.txt":                     {Kind: KindIgnored},
		"a.docx.note.txt":                {Kind: KindIgnored},
		"campaigns.txt":                  {Kind: KindIgnored},
		"examples":                       {Kind: KindIgnored},
		"README":                         {Kind: KindIgnored},
		"readme.csv":                     {Kind: KindCSV, Base: "readme"},
		"a.cancel.txt":                   {Kind: KindControl, Base: "a", Action: ActionCancel},
		"a.20261124-000001.cancelled":    {Kind: KindControl, Base: "a", ID: "20261124-000001", Action: ActionCancel},
		"a.canceled":                     {Kind: KindControl, Base: "a", Action: ActionCancel},
		"a.Pause.TXT":                    {Kind: KindControl, Base: "a", Action: ActionPause},
		"a.paused":                       {Kind: KindControl, Base: "a", Action: ActionPause},
		"a.stop":                         {Kind: KindControl, Base: "a", Action: ActionPause},
		"a.resume.txt":                   {Kind: KindControl, Base: "a", Action: ActionResume},
		"a.stop.txt":                     {Kind: KindControl, Base: "a", Action: ActionPause},
		"a.Cancelled.txt":                {Kind: KindControl, Base: "a", Action: ActionCancel},
		"a.paused.txt":                   {Kind: KindControl, Base: "a", Action: ActionPause},
		"a.results.txt":                  {Kind: KindControl, Base: "a", Action: ActionResults},
		"a.suppress.csv.txt":             {},
		"a.cancel.txt.txt":               {},
		"campan\u0303a.csv":              {Kind: KindCSV, Base: "campa\u00f1a"},
		"campan\u0303a.cancel":           {Kind: KindControl, Base: "campa\u00f1a", Action: ActionCancel},
		"a\x01.docx":                     {Kind: KindBadName},
		long + long:                      {Kind: KindBadName},
		"accepted":                       {Kind: KindReserved},
		"done":                           {Kind: KindReserved},
		"failed":                         {Kind: KindReserved},
		"Done":                           {},
		"done.csv":                       {Kind: KindCSV, Base: "done"},
		"README.md":                      {Kind: KindIgnored},
		"":                               {},
		"csv":                            {},
		"a.c\u017fv":                     {}, // the long s folds to s in Unicode, not here
	} {
		got := ParseName(file)
		if (got.Why != "") != (want.Kind == KindBadName) {
			t.Errorf("ParseName(%q) says %q", file, got.Why)
		}
		got.Why = ""
		if got != want {
			t.Errorf("ParseName(%q) is %+v, want %+v", file, got, want)
		}
	}
}

// model is a slow, literal implementation of docs/contract.md 2 and 10.
func model(file string) Kind {
	b := []byte(file)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	lower := string(b)
	if strings.HasPrefix(lower, ".") {
		return KindIgnored
	}
	if strings.HasSuffix(lower, ".note.txt") || strings.HasPrefix(file, "README") || file == "campaigns.txt" || file == "examples" {
		return KindIgnored
	}
	for _, e := range strings.Fields(".part .partial .filepart .tmp .temp .swp .crdownload ~") {
		if strings.HasSuffix(lower, e) {
			return KindTemporary
		}
	}
	switch file {
	case "accepted", "done", "failed":
		return KindReserved
	}
	kind, cut := KindForeign, 0
	for _, e := range strings.Fields(".cancel .canceled .cancelled .pause .paused .stop .resume .results .cancel.txt .canceled.txt .cancelled.txt .pause.txt .paused.txt .stop.txt .resume.txt .results.txt .suppress.csv .reschedule.json") {
		if strings.HasSuffix(lower, e) {
			kind, cut = KindControl, len(e)
		}
	}
	if kind == KindForeign {
		for e, k := range map[string]Kind{".csv": KindCSV, ".csv.gz": KindCSV, ".csv.zip": KindCSV, ".zip": KindCSV, ".xlsx": KindCSV, ".layout.json": KindLayout, ".schedule.json": KindSidecar} {
			if strings.HasSuffix(lower, e) && len(e) > cut {
				kind, cut = k, len(e)
			}
		}
	}
	if kind == KindForeign {
		if len(file) > 246 || !utf8.ValidString(file) || strings.ContainsFunc(file, unicode.IsControl) {
			return KindBadName
		}
		return kind
	}
	name := file[:len(file)-cut]
	if kind == KindControl && !strings.HasSuffix(lower, ".csv") {
		if i := strings.LastIndex(name, "."); i > 0 && campaign.ID(name[i+1:]).Valid() {
			name = name[:i]
		}
	}
	if len(name) < 1 || max(len(name), len(norm.NFC.String(name))) > 200 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return KindBadName
	}
	if kind == KindCSV && likeOptOuts(name) { // TestParseName has which are
		return KindBadName
	}
	return kind
}

func checkName(t interface {
	Errorf(string, ...any)
}, file string) {
	n := ParseName(file)
	if want := model(file); n.Kind != want {
		t.Errorf("ParseName(%q) is kind %d, want %d", file, n.Kind, want)
	}
	if n.Kind < KindCSV && n.Kind != KindTemporary {
		if n.Base != "" || n.ID != "" {
			t.Errorf("ParseName(%q) is %+v", file, n)
		}
		return
	}
	rest := n.Base
	if n.ID != "" {
		rest += "." + string(n.ID)
	}
	if n.Kind == KindTemporary {
		return
	}
	switch {
	case !strings.HasPrefix(norm.NFC.String(file), rest):
		t.Errorf("norm.NFC.String(file): got %q, want the prefix %q", norm.NFC.String(file), rest)
	case len(n.Base) > MaxName:
		t.Errorf("%q: len(n.Base): got %v, want at most %v", file, len(n.Base), MaxName)
	case strings.ContainsFunc(n.Base, unicode.IsControl):
		t.Errorf("%q: the base %q has control characters", file, n.Base)
	case (n.Kind == KindControl) != (n.Action != ""):
		t.Errorf("%q is %+v; want an action if and only if it is a control file", file, n)
	}
}

func TestParseNameModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		piece := rapid.OneOf(
			rapid.SampledFrom([]string{".csv", ".CSV", ".layout.json", ".schedule.json", ".suppress", ".cancel", ".Pause", ".resume", ".tmp", ".part", "~", ".", "a",
				".20261124-000001", "é", "\n", "\xff", "done", "accepted", strings.Repeat("x", 199)}),
			rapid.StringN(0, 5, 12),
		)
		checkName(t, strings.Join(rapid.SliceOfN(piece, 0, 6).Draw(t, "pieces"), ""))
	})
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"a.csv", "a.20261124-000001.cancel", "a.suppress.csv", ".csv", "\xff.layout.json", "a\n.schedule.json", "x~"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) { checkName(t, file) })
}
