package csvfile

import (
	"encoding/binary"
	"io"
	"math/bits"
	"strings"
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

// decode returns r as UTF-8. A byte order mark stays, as U+FEFF.
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

// characters counts the UTF-8 characters and the other bytes in b, whose first byte is
// at offset at. It returns the number of bytes at the end of b that begin an incomplete
// character; they must precede the next block, unless b is final.
func (s *survey) characters(b []byte, at int64, final bool) (rest int) {
	if nextHigh(b, 0) == len(b) {
		return 0
	}
	if rest = cutCharacter(b); rest < len(b) {
		s.beforeCut = b[len(b)-rest-1]
	}
	if final {
		s.cut, rest = b[len(b)-rest:], 0
	}
	b = b[:len(b)-rest]
	// A few characters may be UTF-8 by chance: they are looked at one by one.
	if n := multiByte(b); n >= 64 && utf8.Valid(b) {
		s.multiByte += n
		return rest
	}
	if s.countBad(b, at) > 0 {
		s.legacy.scan(b, s.lineAt)
	}
	return rest
}

// countBad counts characters and other bytes one by one and returns the number of the latter.
func (s *survey) countBad(b []byte, at int64) (bad int64) {
	for i := nextHigh(b, 0); i < len(b); i = nextHigh(b, i) {
		r, size := utf8.DecodeRune(b[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			if s.first.bad < 0 {
				s.first.bad, s.first.badLine = at+int64(i), s.lineAt(b[:i])
			}
			bad++
		case !byChance(b[i : i+size]):
			s.multiByte++
		}
		i += size
	}
	s.bad += bad
	return bad
}

// byChance reports whether a UTF-8 character is ordinary text in Windows-1252 too: a
// letter before punctuation, as in «CAFÉ» and »Spaß«. The letters with which UTF-8
// encodes those of Western Europe are excluded.
func byChance(c []byte) bool {
	const (
		leads   = "\xC2\xC3\xC5"                                                             // of é, ñ, ª, œ
		closing = "\xBB\xAB\x91\x92\x93\x94\x85\xA0\x96\x97\x8B\x9B\xB4\xB7\xAA\xBA\xA9\xAE" // » « ‘ ’ “ ” … no-break space – — ‹ › ´ · ª º © ®
	)
	if len(c) > 3 || strings.IndexByte(leads, c[0]) >= 0 {
		return false
	}
	for _, b := range c[1:] {
		if strings.IndexByte(closing, b) < 0 {
			return false
		}
	}
	return true
}

// cutCharacter returns the number of bytes at the end of b that begin an incomplete character.
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

// cutLetter reports whether the bytes at the end of a file, whose other bytes are ASCII, are the beginning of
// a UTF-8 character rather than the last letter of a Windows-1252 text.
func cutLetter(before byte, end []byte) bool {
	const (
		latin   = "\xC2\xC3\xC4\xC5"             // lead letters of Latin scripts: Â Ã Ä Å in Windows-1252
		scripts = "\xCE\xCF\xD0\xD1\xD7\xD8\xD9" // and those of Greek, Cyrillic, Hebrew, Arabic: Î Ï Ð Ñ × Ø Ù
		words   = "\xE0\xE8\xE9"                 // à è é
	)
	lead, inWord := end[0], isLetter(class(before))
	switch {
	case len(end) > 1:
		return !byChance(end) // «voilà»
	case lead == 0xE2: // of “ and €; no word ends with â
		return true
	case lead >= 0xE0:
		return !inWord && strings.IndexByte(words, lead) < 0
	case strings.IndexByte(latin, lead) >= 0:
		return true
	case strings.IndexByte(scripts, lead) >= 0 && !inWord:
		return true
	}
	return class(before) == 'l' && lead != 0xDF // a capital, not ß
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

// nextHigh returns the offset of the first byte beyond ASCII at or after i, len(b) if
// there is none.
func nextHigh(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if high := binary.LittleEndian.Uint64(b[i:]) & highBits; high != 0 {
			return i + bits.TrailingZeros64(high)>>3
		}
	}
	for i < len(b) && b[i] < utf8.RuneSelf {
		i++
	}
	return i
}
