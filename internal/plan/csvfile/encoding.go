package csvfile

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/bits"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// The byte order marks.
const (
	bomUTF8    = "\xEF\xBB\xBF"
	bomUTF16LE = "\xFF\xFE"
	bomUTF16BE = "\xFE\xFF"
)

// undefined1252 are the bytes that Windows-1252 has no character for. The
// decoder would make control characters of them.
const undefined1252 = "\x81\x8D\x8F\x90\x9D"

// decode is r as UTF-8. A byte order mark stays, as U+FEFF.
func decode(r io.Reader, encoding string) io.Reader {
	switch encoding {
	case UTF16LE:
		return transform.NewReader(r, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder())
	case UTF16BE:
		return transform.NewReader(r, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder())
	case Windows1252:
		return transform.NewReader(r, charmap.Windows1252.NewDecoder())
	}
	return r
}

// characters counts what is UTF-8 in b, whose first byte is at offset at, and
// what isn't, and returns how many bytes at its end begin a character that
// needs more: these are to come again before the next ones, unless b is final.
func (s *survey) characters(b []byte, at int64, final bool) (rest int) {
	if !hasHigh(b) {
		return 0
	}
	if s.first.undefined < 0 {
		s.findUndefined(b, at)
	}
	if !final {
		rest = cutCharacter(b)
		b = b[:len(b)-rest]
	}
	if utf8.Valid(b) {
		s.multiByte += multiByte(b)
	} else {
		s.countBad(b, at)
	}
	return rest
}

func (s *survey) findUndefined(b []byte, at int64) {
	first := len(b)
	for _, c := range []byte(undefined1252) {
		if i := bytes.IndexByte(b[:first], c); i >= 0 {
			first = i
		}
	}
	if first < len(b) {
		s.first.undefined, s.first.undefinedLine = at+int64(first), s.lineAt(b[:first])
	}
}

func (s *survey) countBad(b []byte, at int64) {
	for i := 0; i < len(b); {
		if b[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			if s.first.bad < 0 {
				s.first.bad, s.first.badLine = at+int64(i), s.lineAt(b[:i])
			}
			s.bad++
		} else {
			s.multiByte++
		}
		i += size
	}
}

// cutCharacter is how many bytes at the end of b begin a character that needs more.
func cutCharacter(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		c := b[len(b)-n]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(b[len(b)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

const highBits = 0x8080808080808080

// multiByte counts the bytes that begin a character of several bytes, eight at a time.
func multiByte(b []byte) int64 {
	var n int
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		n += bits.OnesCount64(w & (w << 1) & highBits)
	}
	for _, c := range b {
		if c >= 0xC0 {
			n++
		}
	}
	return int64(n)
}

func hasHigh(b []byte) bool {
	for ; len(b) >= 8; b = b[8:] {
		if binary.LittleEndian.Uint64(b)&highBits != 0 {
			return true
		}
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}
