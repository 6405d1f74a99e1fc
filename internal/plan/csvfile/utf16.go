package csvfile

// utf16Survey gathers facts about a UTF-16 file.
type utf16Survey struct {
	bigEndian          bool
	odd                bool   // the file ends within a unit
	afterHighSurrogate bool   // the unit before is the first half of a pair
	last, last2        uint16 // the unit before and the one before that
	end                uint16 // the last unit but blanks and 0x1A
	breaks             lineBreaks
	nul, nuls          int64
	nulLine            int64
	bad, badLine       int64
	badWhy             string
}

// block examines the next bytes, which begin at offset at. Only the last block may be odd.
func (w *utf16Survey) block(b []byte, at int64) {
	for ; len(b) >= 2; b, at = b[2:], at+2 {
		w.unit(b[0], b[1], at)
	}
	w.odd = len(b) == 1
}

func (w *utf16Survey) unit(one, two byte, at int64) {
	u := uint16(two)<<8 | uint16(one)
	if w.bigEndian {
		u = uint16(one)<<8 | uint16(two)
	}
	low := u&0xFC00 == 0xDC00
	if w.afterHighSurrogate != low {
		w.fault(at, "half of a UTF-16 pair without the other")
	}
	w.afterHighSurrogate = u&0xFC00 == 0xD800
	switch u {
	case 0:
		if w.nul < 0 {
			w.nul, w.nulLine = at, w.line()
		}
		w.nuls++
	case '\n':
		w.breaks.lf++
		if w.last == '\r' {
			w.breaks.crlf++
			if w.last2 == '\r' {
				w.breaks.crcrlf++
			}
		}
	case '\r':
		w.breaks.cr++
	}
	w.last, w.last2 = u, w.last
	if u != ' ' && u != '\t' && u != 0x1A {
		w.end = u
	}
}

func (w *utf16Survey) line() int64 {
	return w.breaks.lf + w.breaks.cr - w.breaks.crlf - w.breaks.crcrlf + 1
}

func (w *utf16Survey) fault(at int64, why string) {
	if w.bad < 0 {
		w.bad, w.badLine, w.badWhy = at, w.line(), why
	}
}

// fill completes info.
func (w *utf16Survey) fill(info *Info) {
	cut := w.bad < 0 && (w.odd || w.afterHighSurrogate)
	if w.odd {
		w.fault(info.Bytes-1, "UTF-16 has two bytes a character, and the file ends after the first of one: it is incomplete")
	}
	if w.afterHighSurrogate {
		w.fault(info.Bytes-2, "half of a UTF-16 pair without the other")
	}
	info.NUL, info.NULs, info.nulLine = w.nul, w.nuls, w.nulLine
	info.Undecodable, info.badLine, info.badWhy, info.badCode = w.bad, w.badLine, w.badWhy, "encoding-broken"
	end := byte('x')
	if w.end == '\n' || w.end == '\r' {
		end = byte(w.end)
	}
	lineEnds(info, w.breaks, end)
	if info.Bytes <= 2 {
		info.Unterminated, info.Lines = false, 0 // only the mark
	}
	if cut {
		whole := *info
		info.whole, info.badCode = &whole, "row-cut-off"
	}
}
