package csvfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"campaignd/internal/campaign"
)

// inspectBlock is the part of a file that Inspect holds in memory: small enough to
// stay in a core's cache while it is hashed and examined.
const inspectBlock = 256 << 10

// Inspect reads r to its end, or to one byte beyond size, and describes it. It holds
// one block in memory. It calls progress, which may be nil, after every block with the
// bytes read so far. The error is ctx's or that of r.
func Inspect(ctx context.Context, r io.Reader, size int64, progress func(read int64)) (Info, error) {
	// A file that grows while it is read would have no end.
	r = io.LimitReader(r, size+1)
	hash := sha256.New()
	// The incomplete character at the end of a block is copied to the front of the next one.
	buffer := make([]byte, utf8.UTFMax+int(min(inspectBlock, size+2))&^1) // an even number: whole UTF-16 units
	block := buffer[utf8.UTFMax:]
	var look survey
	var read int64
	for rest, final := 0, false; !final; {
		if err := ctx.Err(); err != nil {
			return Info{}, err
		}
		n, err := io.ReadFull(r, block)
		final = err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !final {
			return Info{}, fmt.Errorf("read CSV: %w", err)
		}
		hash.Write(block[:n])
		if read == 0 {
			look.begin(block[:n])
		}
		if look.utf16 != nil {
			look.utf16.block(block[:n], read)
		} else {
			rest = look.bytes(buffer[utf8.UTFMax-rest:utf8.UTFMax+n], rest, read, final)
			copy(buffer[utf8.UTFMax-rest:utf8.UTFMax], block[max(n-rest, 0):n])
		}
		read += int64(n)
		if progress != nil {
			progress(read)
		}
	}
	info := look.result(read)
	info.SHA256 = hex.EncodeToString(hash.Sum(nil))
	return info, nil
}

// survey gathers facts about a file block by block.
type survey struct {
	info      Info         // encoding by mark, NUL, format
	utf16     *utf16Survey // of UTF-16; nil for bytes
	breaks    lineBreaks
	last      byte   // of the block before
	end       byte   // the last byte but blanks and 0x1A
	tail      []byte // the last two bytes of the block before
	cut       []byte // the beginning of a UTF-8 character at the end of the file
	beforeCut byte   // the byte before it, 0 if there is none
	multiByte int64  // UTF-8 characters of several bytes, except those by chance
	bad       int64  // bytes that are not UTF-8
	legacy    legacySurvey
	first     struct{ bad, badLine int64 } // the first byte that is not UTF-8
}

// lineBreaks counts the bytes and pairs that may end a line.
type lineBreaks struct{ lf, cr, crlf, crcrlf int64 }

// begin looks for the byte order mark and for formats that are no CSV.
func (s *survey) begin(b []byte) {
	s.info.NUL, s.first.bad = -1, -1
	s.info.Encoding = UTF8
	s.info.foreign = recognize(b)
	switch {
	case bytes.HasPrefix(b, []byte(bomUTF8)):
		s.info.BOM = true
	case bytes.HasPrefix(b, []byte(bomUTF16LE)):
		s.info.Encoding, s.info.BOM = UTF16LE, true
	case bytes.HasPrefix(b, []byte(bomUTF16BE)):
		s.info.Encoding, s.info.BOM = UTF16BE, true
	}
	if s.info.Encoding != UTF8 {
		s.utf16 = &utf16Survey{bigEndian: s.info.Encoding == UTF16BE, nul: -1, bad: -1}
	}
}

// bytes examines the next bytes, which begin at offset at: b without its first old
// bytes, which the block before had as the beginning of a character. It returns the
// number of bytes to repeat before the next block.
func (s *survey) bytes(b []byte, old int, at int64, final bool) (rest int) {
	rest = s.characters(b, at-int64(old), final)
	if b = b[old:]; len(b) == 0 {
		return rest
	}
	if n := bytes.Count(b, []byte{0}); n > 0 {
		if s.info.NUL < 0 {
			i := bytes.IndexByte(b, 0)
			s.info.NUL, s.info.nulLine = at+int64(i), s.lineAt(b[:i])
		}
		s.info.NULs += int64(n)
	}
	s.breaks.lf += int64(bytes.Count(b, []byte{'\n'}))
	if s.last == '\r' && b[0] == '\n' {
		s.breaks.crlf++
	}
	if cr := bytes.Count(b, []byte{'\r'}); cr > 0 || s.last == '\r' {
		s.breaks.cr += int64(cr)
		s.breaks.crlf += int64(bytes.Count(b, []byte("\r\n")))
		s.breaks.crcrlf += s.crcrlf(b)
	}
	s.last = b[len(b)-1]
	s.tail = append(s.tail, b[max(len(b)-2, 0):]...)
	s.tail = s.tail[max(len(s.tail)-2, 0):]
	if text := bytes.TrimRight(b, " \t\x1A"); len(text) > 0 {
		s.end = text[len(text)-1]
	}
	return rest
}

// lineAt returns the line of the byte that follows before, the beginning of the block.
func (s *survey) lineAt(before []byte) int64 {
	n := s.breaks.lf + s.breaks.cr - s.breaks.crlf + 1
	n += int64(bytes.Count(before, []byte{'\n'}) + bytes.Count(before, []byte{'\r'}) - bytes.Count(before, []byte("\r\n")))
	if s.last == '\r' && len(before) > 0 && before[0] == '\n' {
		n--
	}
	return n - s.breaks.crcrlf - s.crcrlf(before)
}

// crcrlf counts CR CR LF in b, the beginning of the block, including one that began in
// the block before.
func (s *survey) crcrlf(b []byte) int64 {
	edge := append(bytes.Clone(s.tail), b[:min(len(b), 2)]...)
	return int64(bytes.Count(b, []byte("\r\r\n")) + bytes.Count(edge, []byte("\r\r\n")))
}

// result returns the Info of the whole file.
func (s *survey) result(read int64) Info {
	info := s.info
	info.Bytes, info.Undecodable = read, -1
	if s.utf16 != nil {
		s.utf16.fill(&info)
		return info
	}
	if s.bad > 0 {
		s.notUTF8(&info)
	}
	lineEnds(&info, s.breaks, s.end)
	if s.isCut() {
		return s.cutOff(info)
	}
	return info
}

// isCut reports whether the only bytes that aren't UTF-8 are the beginning of a character at the end.
func (s *survey) isCut() bool {
	return s.bad > 0 && s.bad == int64(len(s.cut)) && (s.info.BOM || s.multiByte > 0 || cutLetter(s.beforeCut, s.cut))
}

// cutOff describes a UTF-8 file that ends within a character; whole describes it as complete.
func (s *survey) cutOff(whole Info) Info {
	info := whole
	info.whole = &whole
	info.Encoding, info.Assumed, info.example = UTF8, false, sample{}
	info.Undecodable, info.badLine = s.first.bad, s.first.badLine
	info.badCode, info.badWhy = "row-cut-off", "the file ends within a letter, as UTF-8 writes it: it is incomplete"
	return info
}

// Whole returns the description of a file that is known to be complete: it wasn't cut off.
func (in Info) Whole() Info {
	if in.whole != nil {
		return *in.whole
	}
	return in
}

// minBadRatio is the least number of bytes that are not UTF-8, for each character that
// is, in a Windows-1252 file. A file with more characters is a mix of two encodings, or
// UTF-8 that ends within a character. Either reading would be a guess.
const minBadRatio = 20

func (s *survey) notUTF8(info *Info) {
	info.Undecodable, info.badLine = s.first.bad, s.first.badLine
	info.badCode = "encoding-mixed"
	wrong := s.legacy.suspicious()
	switch {
	case info.BOM:
		info.badWhy = "its byte order mark says UTF-8, but the bytes here are not"
	case s.multiByte >= s.bad:
		info.badWhy = "most of the file is UTF-8, but the bytes here are not: it is a mix of encodings, or ends within a character"
	case wrong.line > 0:
		info.Encoding, info.Assumed = Windows1252, true
		info.badCode, info.badLine = "encoding-unknown", wrong.line
		info.badWhy = fmt.Sprintf("the encoding is unknown: the file is not UTF-8, and as Windows-1252 it has %q here, which no text has", wrong.text)
	case s.multiByte*minBadRatio > s.bad:
		info.badWhy = "the bytes here are not UTF-8, but other letters of the file may be: it is a mix of encodings, or in one that can't be recognized"
	default:
		info.Encoding, info.Assumed = Windows1252, true
		info.Undecodable, info.badLine, info.badCode = -1, 0, ""
		info.example = s.legacy.shown()
	}
}

// lineEnds counts the lines; end is the last byte of the text.
func lineEnds(info *Info, n lineBreaks, end byte) {
	lone := n.cr - n.crlf - n.crcrlf
	info.Unterminated = info.Bytes > 0 && end != '\n' && end != '\r'
	if end == '\r' && n.crlf > 0 && lone == 1 {
		// The file was cut between the two.
		info.Unterminated, lone = true, 0
	}
	info.Lines += n.lf + lone
	if info.Unterminated {
		info.Lines++
	}
}

// Foreign reports whether the file is of a format that isn't CSV. Nothing that may still arrive
// would make it one.
func (in *Info) Foreign() bool { return in.foreign.name != "" }

// Problems returns the reasons why the file can't be read at all: another format, NUL
// bytes, bytes that its encoding doesn't have, no content. file is its base name, for
// messages.
func (in *Info) Problems(file string) campaign.Problems {
	var p campaign.Problems
	if in.Bytes == 0 {
		p.AddCode("csv-empty", file, 0, 0, "", "the file is empty; its first line must name the columns")
	}
	switch name := strings.ToLower(file); {
	case !in.Foreign():
	case strings.HasSuffix(name, ".gz"):
		p.AddCode("not-csv", file, 0, 0, "", "the file is %s, not a CSV; pack the CSV itself", in.foreign.name)
		return p
	case strings.HasSuffix(name, ".suppress.csv"): // which is never packed, and no workbook
		p.AddCode("not-csv", file, 0, 0, "", "the file is %s, not a CSV; export the list as CSV with the encoding UTF-8", in.foreign.name)
		return p
	default:
		p.AddCode("not-csv", file, 0, 0, "", "the file is %s, not a CSV; %s", in.foreign.name, in.foreign.advice)
		return p
	}
	if in.NUL >= 0 {
		p.AddCode("csv-nul", file, int(in.nulLine), 0, "", "NUL at byte %d (%d in all): text has none. "+
			"An interrupted upload or a power cut can leave them, and so can UTF-16 without a byte order mark; save the file as UTF-8 and upload it again", in.NUL+1, in.NULs)
		if in.NULs > in.Bytes/4 {
			return p
		}
	}
	if in.Undecodable >= 0 {
		advice := "save it as UTF-8 and drop it again"
		if in.whole != nil {
			advice = "upload the whole file"
			if in.whole.Assumed {
				advice += "; if it is Windows-1252, end its last line"
			}
		}
		p.AddCode(in.badCode, file, int(in.badLine), 0, "", "%s (byte %d of the file); %s", in.badWhy, in.Undecodable+1, advice)
	}
	return p
}

// Warnings returns facts that a person should know about a readable file: an encoding
// that was assumed and, unless the sidecar proves the file complete, a last line
// without an end.
func (in *Info) Warnings(file string, proven bool) []campaign.Problem {
	var w []campaign.Problem
	if in.Assumed && in.Undecodable < 0 {
		w = append(w, campaign.Problem{Code: "encoding-assumed", File: file, Line: int(in.example.line),
			Message: fmt.Sprintf("is not UTF-8 and was read as Windows-1252, for example %q; save it as UTF-8 if letters look wrong", in.example.text)})
	}
	if in.Unterminated && !proven {
		w = append(w, campaign.Problem{Code: "line-unterminated", File: file, Line: int(min(in.Lines, 1<<31-1)), Message: "the last line has no line end: rows may be missing if the upload was interrupted; " +
			`"rows", "bytes" or "sha256" in the schedule would prove the file complete`})
	}
	return w
}
