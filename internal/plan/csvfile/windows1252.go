package csvfile

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Nothing proves that bytes are Windows-1252: every other one-byte encoding decodes
// as it too, into wrong letters. legacySurvey therefore looks for text that no
// language of Western Europe writes and that the usual wrong guesses produce: Mac OS
// Roman (Mu–oz), CP850 (Mu¤oz), CP1250 (Pawe³), CP1251 (Èâàí), CP1254 (Barýþ), Shift
// JIS (“c’†). Encodings that differ in letters alone show only in some words, so a
// file with one such word is read, and the warning shows that word.

// sample is a piece of text and its line.
type sample struct {
	line int64 // 0: none
	text string
}

// legacySurvey gathers evidence about bytes that are not UTF-8.
type legacySurvey struct {
	example sample // the first word with a character beyond ASCII
	telling sample // the first word with a letter that near encodings read as another one
	strong  sample // the first text that Windows-1252 never has
	weak    sample // the first closing quote, or apostrophe where no letter is elided, inside a word
	weakly  int64  // number of those
	foreign sample // the first word that is nearly all beyond ASCII
	odd     sample // the first word with letters that are never neighbors
	another bool   // there is a different word of that kind
	oddly   int64  // number of those
	letters int64  // letters beyond ASCII
	words   int64  // words with a letter beyond ASCII
	long    int64  // those of three or more letters
	high    int64  // those of them that are nearly all beyond ASCII
}

// minWordsPerOdd is the least number of words with a letter beyond ASCII, for each odd
// one, in a Windows-1252 file. Texts in Turkish, Czech, Polish, Hungarian, Romanian,
// Croatian and Baltic languages have 4 to 20, ordinary ones hundreds: names and typos.
const minWordsPerOdd = 40

// suspicious returns text that shows that the encoding is not Windows-1252.
func (l *legacySurvey) suspicious() sample {
	switch {
	case l.strong.line > 0:
		return l.strong
	case l.high*2 > l.long:
		return l.foreign
	case l.another && l.oddly*minWordsPerOdd > l.words, l.oddly*2 > l.words:
		return l.odd
	case l.weakly > l.letters:
		return l.weak
	}
	return sample{}
}

// shown returns the word that shows best whether the encoding is Windows-1252.
func (l *legacySurvey) shown() sample {
	for _, one := range []sample{l.odd, l.telling} {
		if one.line > 0 {
			return one
		}
	}
	return l.example
}

// The classes of the bytes from 0x80 on, by what may stand beside them in a text:
//
//	l, u, U  a small letter, a capital, a capital of the range that Mac OS Roman uses for é and ü
//	.        counts as a letter: · ’ ‘ ´ ª º and the soft hyphen
//	x        no character at all
//	a        a symbol that texts never have
//	b        a symbol that is never after a small letter nor between two letters
//	B        like b, and never before a small letter
//	m, 2, 3  a symbol that is never between two letters (² and ³ may follow an m)
//	d        a dash, never between two small letters
//	q        a closing quote or an ellipsis, seldom between two small letters
//	o        anything else
const classes1252 = "" +
	"bxbabqbbaBUmUxUx" + // 80: €.‚ƒ„…†‡ˆ‰Š‹Œ.Ž.
	"x..qqmddaolqlxlU" + // 90: .‘’“”•–—˜™š›œ.žŸ
	"omBBaBBBBo.qB.oB" + // A0:  ¡¢£¤¥¦§¨©ª«¬.®¯
	"ob23.mB.Bm.qbbbm" + // B0: °±²³´µ¶·¸¹º»¼½¾¿
	"uuuuuuuuuuuuuuuu" + "uuuuuuuouuuuuuul" + // C0, D0
	"llllllllllllllll" + "lllllllbllllllll" // E0, F0

// class returns a letter of classes1252, or for ASCII l, u, 0 for a digit, else a space.
func class(c byte) byte {
	switch {
	case c >= 0x80:
		return classes1252[c-0x80]
	case c >= 'a' && c <= 'z':
		return 'l'
	case c >= 'A' && c <= 'Z':
		return 'u'
	case c >= '0' && c <= '9':
		return '0'
	}
	return ' '
}

func isLetter(class byte) bool { return class == 'l' || class == 'u' || class == 'U' }

// scan adds the evidence of b, whose offsets lineAt converts to lines. Words that
// two blocks share are seen as two.
func (l *legacySurvey) scan(b []byte, lineAt func(before []byte) int64) {
	at := func(i int) sample { return sample{lineAt(b[:i]), word(b, i)} }
	counted := 0 // end of the last word that was counted
	for i := nextHigh(b, 0); i < len(b); i = nextHigh(b, i+1) {
		c := class(b[i])
		if b[i] == enDash && !betweenVowels(b, i) { // no ñ of Mac OS Roman
			c = 'q'
		}
		if l.example.line == 0 {
			l.example = at(i)
		}
		if isLetter(c) {
			l.letters++
			if i >= counted {
				counted = l.countWord(b, i, at)
			}
		}
		var before, before2, after byte = ' ', ' ', ' '
		if i > 0 {
			before = class(b[i-1])
		}
		if i > 1 {
			before2 = class(b[i-2])
		}
		if i+1 < len(b) {
			after = class(b[i+1])
		}
		if geminate(b, i) {
			continue
		}
		if c == 'q' && isLetter(before) && after == 'l' || b[i] == bullet && before == 'l' || noElision(b, i) {
			if l.weakly++; l.weakly == 1 {
				l.weak = at(i)
			}
		}
		if l.strong.line == 0 && (alone(b, i) || impossible(c, before, before2, after, i > 0 && b[i-1]|0x20 == 'm')) {
			l.strong = at(i)
		}
	}
}

// impossible reports whether no text has a byte of class c between these neighbors.
func impossible(c, before, before2, after byte, afterM bool) bool {
	letter, next := isLetter(before), isLetter(after)
	small := before == 'l' || before == '.' && before2 == 'l'
	switch c {
	case 'x', 'a':
		return true
	case 'b':
		return small || letter && next
	case 'B':
		return small || letter && next || after == 'l' && before != '0'
	case 'm':
		return (letter || small) && next
	case '2':
		return letter && next && !afterM
	case '3':
		return small && !afterM
	case 'd':
		return (small || before == 'u') && after == 'l'
	case 'U':
		return before == 'l' || letter && after == 'l'
	}
	return false
}

// noElision reports whether the byte at i is an apostrophe where no language elides a letter: before a consonant, or
// before a word of one vowel (Mart’nez and Mar’a in Mac OS Roman, Kj‘r in CP850).
func noElision(b []byte, i int) bool {
	const openQuote, closeQuote = 0x91, 0x92
	if b[i] != openQuote && b[i] != closeQuote {
		return false
	}
	start, end := i, i+1
	for start > 0 && b[start-1] < utf8.RuneSelf && isLetter(class(b[start-1])) {
		start--
	}
	for end < len(b) && b[end] >= 'a' && b[end] <= 'z' {
		end++
	}
	if end == i+1 || end < len(b) && b[end] >= utf8.RuneSelf { // rock’n’roll
		return false
	}
	switch before, after := b[start:i], string(b[i+1:end]); after {
	case "s", "t", "d", "m", "n", "ll", "re", "ve", "tje", "tjes": // of English and Dutch words
		return false
	case "a", "o", "as", "os":
		return len(before) > 2 && before[len(before)-1] != 'u' // puisqu’a
	default:
		return len(before) > 1 && strings.IndexByte("aeiouhy", after[0]) < 0
	}
}

const bullet = 0x95 // •, in CP850 ò

// geminate reports whether the byte at i is a bullet in the place of the Catalan middle dot (col•lega).
func geminate(b []byte, i int) bool {
	return b[i] == bullet && i > 0 && i+1 < len(b) && b[i-1]|0x20 == 'l' && b[i+1]|0x20 == 'l'
}

const enDash = 0x96 // –, in Mac OS Roman ñ

// betweenVowels reports whether a vowel is before the byte at i and a small one after it. A byte beyond ASCII may be one.
func betweenVowels(b []byte, i int) bool {
	vowel := func(c byte) bool { return c >= 0x80 || strings.IndexByte("aeiou", c) >= 0 }
	return i > 0 && i+1 < len(b) && vowel(b[i-1]|0x20) && vowel(b[i+1])
}

// alone reports whether the byte at i is Š, Œ, Ž or Ÿ between two spaces (in CP850 the
// Italian word è).
func alone(b []byte, i int) bool {
	return class(b[i]) == 'U' && i > 0 && i+1 < len(b) && b[i-1] == ' ' && b[i+1] == ' '
}

// inWord reports whether a byte may be part of a word, in this encoding or another one: a letter, or a symbol that is no
// punctuation.
func inWord(c byte) bool {
	const punctuation = "\xA0\x85\x8B\x91\x92\x93\x94\x95\x96\x97\x9B\xAB\xBB" // no-break space … ‹ ‘ ’ “ ” • – — › « »
	return isLetter(class(c)) || c >= 0x80 && strings.IndexByte(punctuation, c) < 0
}

// countWord counts the word around the letter at i and returns its end.
func (l *legacySurvey) countWord(b []byte, i int, at func(int) sample) (end int) {
	start := i
	for start > 0 && inWord(b[start-1]) {
		start--
	}
	high := 0
	for end = start; end < len(b) && inWord(b[end]); end++ {
		if b[end] >= 0x80 {
			high++
		}
	}
	l.words++
	l.judge(b[start:end], func() sample { return at(i) })
	if n := end - start; n >= 3 {
		l.long++
		if high*5 >= n*4 {
			if l.high++; l.high == 1 {
				l.foreign = at(i)
			}
		}
	}
	return end
}

// judge compares the letters of a word with neighbors1252.
func (l *legacySurvey) judge(word []byte, at func() sample) {
	telling, odd := false, false
	for i, c := range word {
		if c < 0x80 {
			continue
		}
		before, after, known := neighbors1252(small(c))
		if !known || len(word) == 1 { // an initial
			continue
		}
		first, last := '-', '-'
		if i > 0 && isLetter(class(word[i-1])) {
			first = small(word[i-1])
		}
		if i+1 < len(word) && isLetter(class(word[i+1])) {
			last = small(word[i+1])
		}
		telling = true
		odd = odd || !strings.ContainsRune(before, first) || !strings.ContainsRune(after, last)
	}
	if telling && l.telling.line == 0 {
		l.telling = at()
	}
	if !odd {
		return
	}
	l.oddly++
	switch {
	case l.odd.line == 0:
		l.odd = at()
	case !l.another:
		l.another = !strings.EqualFold(at().text, l.odd.text)
	}
}

// small returns the small letter of a byte that is a letter.
func small(c byte) rune {
	r := charmap.Windows1252.DecodeByte(c)
	return unicode.ToLower(r)
}

// neighbors1252 returns the letters that stand before and after a small letter in the
// languages of Western Europe, from Portuguese to Estonian; "-" is the beginning or the
// end of a word. It knows the letters that CP1250, CP1254 and CP1257 use for a letter
// of other languages that has other neighbors.
func neighbors1252(letter rune) (before, after string, known bool) {
	switch letter {
	case 'ã': // Portuguese; ă in CP1250
		return "abcdefghijlmnoprstuvxzç", "-eios", true
	case 'æ': // Danish, Norwegian, Icelandic, Latin; ć in CP1250
		return "-bcdefghjklmnoprstuvwþ", "-abcdefghijklmnopqrstuvxyzð", true
	case 'è': // French, Italian, Catalan; č in CP1250
		return "-abcdefghijklmnopqrstuvwxyzçü", "-abcdfghiklmnopqrstuvwxz", true
	case 'ì': // Italian, Gaelic; ě in CP1250
		return "-abcdefghijklmnopqrstuvxyz", "-abcdfghlmnoprstvz", true
	case 'ð': // Icelandic, Faroese; đ in CP1250, ğ in CP1254
		return "aefgiloprtuyáæéíóðöøúý", "-abdefghijklmnoprstuvyáæíóöøúýðþ", true
	case 'õ': // Portuguese, Estonian; ő in CP1250
		return "-abcdefghijklmnoprstuvxyzçõäš", "abdefghijklmnoprstuvzäõš", true
	case 'ø': // Danish, Norwegian, Faroese; ř in CP1250
		return "-abdefghijklmnprstuvwxåø", "-abcdefghijklmnoprstuvwxyzðæø", true
	case 'ù': // Italian, French, Gaelic; ů in CP1250
		return "-abcdefghiklmnopqrstuvwxzñù", "-bcdfghilmnrstù", true
	case 'û': // French; ű in CP1250
		return "-abcdefghjlmnopqrstuvwy", "-bcdefgklmnrstv", true
	case 'ý': // Icelandic, Faroese, Czech names; ı in CP1254
		return "-abdfghjklmnprstuvéøþ", "-abdefgijklmnprstuvxáíðúý", true
	case 'þ': // Icelandic; ţ in CP1250, ş in CP1254
		return "-adefgiklmnorstuvyáæíðóöú", "abeijoruvyáæéíóöúý", true
	case 'œ': // French; ś in CP1250
		return "-bcfghlmnprsv", "cdfilmnrstu", true
	}
	return "", "", false
}

// maxSample is the most bytes of a sample on each side.
const maxSample = 20

// word returns the word around offset i as Windows-1252.
func word(b []byte, i int) string {
	const ends = " \t\r\n,;|\"\x00"
	start, end := i, i+1
	for start > 0 && i-start < maxSample && bytes.IndexByte([]byte(ends), b[start-1]) < 0 {
		start--
	}
	for end < len(b) && end-i < maxSample && bytes.IndexByte([]byte(ends), b[end]) < 0 {
		end++
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(b[start:end])
	if err != nil { // impossible: every byte decodes
		return ""
	}
	return string(text)
}
