package spreadsheet

import (
	"encoding/xml"
	"path"
	"strconv"
	"strings"

	"campaignd/internal/display"
)

// The most entries of what is kept in memory. Excel writes at most 65,430 formats and 1,048,576
// rows.
const (
	maxLinks   = 10_000
	maxFormats = 100_000
	maxTexts   = 50_000_000
	maxText    = 512 << 20 // bytes of all shared texts
)

// link is a relationship of a part to another.
type link struct{ id, kind, target string }

// links reads the relationships that a .rels file lists. A missing file lists none.
func (b *workbook) links(name string) ([]link, error) {
	x, err := b.openName(name)
	if x == nil || err != nil {
		return nil, err
	}
	defer x.close()
	base := path.Dir(path.Dir(name)) // of xl/_rels/workbook.xml.rels: xl
	var all []link
	err = x.each(func(e xml.StartElement) error {
		if e.Name.Local != "Relationship" || attr(e, "TargetMode") == "External" {
			return nil
		}
		if len(all) == maxLinks {
			return b.broken("it has more than %d relationships", maxLinks)
		}
		target := attr(e, "Target")
		if absolute, ok := strings.CutPrefix(target, "/"); ok {
			target = absolute
		} else {
			target = path.Join(base, target)
		}
		all = append(all, link{attr(e, "Id"), attr(e, "Type"), target})
		return nil
	})
	return all, err
}

// listedSheet is a sheet in the workbook's list.
type listedSheet struct {
	name, id string
	hidden   bool
}

// workbook reads the list of sheets and where days begin to count.
func (b *workbook) workbook(name string) ([]listedSheet, error) {
	x, err := b.openName(name)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return nil, b.refuse("archive-other", 0, "is not a workbook: it has no %s", name)
	}
	defer x.close()
	var all []listedSheet
	err = x.each(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			b.is1904 = isTrue(attr(e, "date1904"))
		case "sheet":
			if len(all) == maxLinks {
				return b.broken("it has more than %d sheets", maxLinks)
			}
			state := attr(e, "state")
			all = append(all, listedSheet{attr(e, "name"), attr(e, "id"), state == "hidden" || state == "veryHidden"})
		}
		return nil
	})
	return all, err
}

// texts holds the shared texts of a workbook, one after the other.
type texts struct {
	data []byte
	ends []uint32
}

// get returns a text by its number.
func (t *texts) get(i int) ([]byte, bool) {
	if i < 0 || i >= len(t.ends) {
		return nil, false
	}
	start := uint32(0)
	if i > 0 {
		start = t.ends[i-1]
	}
	return t.data[start:t.ends[i]], true
}

// sharedTexts reads the texts that cells name by their number.
func (b *workbook) sharedTexts(name string) error {
	x, err := b.openName(name)
	if x == nil || err != nil {
		return err
	}
	defer x.close()
	return x.each(func(e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		start := len(b.texts.data)
		var err error
		if b.texts.data, err = x.richText(b.texts.data); err != nil {
			return err
		}
		b.texts.data = b.texts.data[:start+len(unescape(b.texts.data[start:]))]
		if len(b.texts.ends) == maxTexts || len(b.texts.data) > maxText {
			return b.refuse("archive-large", 0, "its texts have more than the %s that fit into memory: split it into several workbooks", display.Amount(maxText, "byte"))
		}
		b.texts.ends = append(b.texts.ends, uint32(len(b.texts.data)))
		return b.ctx.Err()
	})
}

// richText appends the text of the current element, which may be in pieces with formats of their
// own, and leaves out hints on how to pronounce it.
func (x *document) richText(dst []byte) ([]byte, error) {
	err := x.children(func(e xml.StartElement) (err error) {
		switch e.Name.Local {
		case "t":
			dst, err = x.text(dst)
		case "rPh", "phoneticPr":
			err = x.skip()
		}
		return err
	}, nil)
	return dst, err
}

// unescape replaces _x000D_ and its like, by which workbooks write characters that XML lacks. It
// works in place.
func unescape(text []byte) []byte {
	s := string(text)
	if !strings.Contains(s, "_x") {
		return text
	}
	out := text[:0]
	for i := 0; i < len(s); i++ {
		if s[i] == '_' && i+7 <= len(s) && s[i+1] == 'x' && s[i+6] == '_' {
			if r, err := strconv.ParseUint(s[i+2:i+6], 16, 16); err == nil && (r < 0xD800 || r > 0xDFFF) {
				out = append(out, string(rune(r))...) // at most 3 bytes for 7
				i += 6
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

// styles reads the number formats of cells.
func (b *workbook) styles(name string) error {
	x, err := b.openName(name)
	if x == nil || err != nil {
		return err
	}
	defer x.close()
	codes := map[int]string{}
	return x.each(func(e xml.StartElement) error {
		switch e.Name.Local {
		case "numFmt":
			if id, err := strconv.Atoi(attr(e, "numFmtId")); err == nil && len(codes) < maxFormats {
				codes[id] = attr(e, "formatCode")
			}
		case "cellXfs":
			return x.children(func(e xml.StartElement) error {
				if e.Name.Local != "xf" {
					return nil
				}
				if len(b.formats) == maxFormats {
					return b.broken("it has more than %d formats", maxFormats)
				}
				id, _ := strconv.Atoi(attr(e, "numFmtId")) // none is General
				code, ok := codes[id]
				if !ok {
					code = builtin(id)
				}
				b.formats = append(b.formats, parseFormat(code))
				return nil
			}, nil)
		}
		return nil
	})
}
