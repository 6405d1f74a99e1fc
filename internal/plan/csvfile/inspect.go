package csvfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"unicode/utf8"

	"campaignd/internal/campaign"
)

// inspectBlock is how much of a file Inspect holds: it stays in a core's cache
// while it is hashed and looked at.
const inspectBlock = 256 << 10

// Inspect reads r to its end, or to a byte beyond size, and says what it is. It
// holds one block in memory. progress, which may be nil, is called after
// every block with the bytes read so far. The error is ctx's or that of r.
func Inspect(ctx context.Context, r io.Reader, size int64, progress func(read int64)) (Info, error) {
	// A file that grows while it is read would have no end.
	r = io.LimitReader(r, size+1)
	hash := sha256.New()
	// What a block has of a character that goes on in the next is put before that one.
	buffer := make([]byte, utf8.UTFMax+int(min(inspectBlock, size+2))&^1) // an even number: of whole UTF-16 units
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

// survey gathers what is seen of a file block by block.
type survey struct {
	info      Info         // encoding by mark, NUL
	utf16     *utf16Survey // of UTF-16; nil for bytes
	lf        int64
	cr        int64
	crlf      int64
	last      byte  // of the block before
	multiByte int64 // UTF-8 characters of several bytes
	bad       int64 // bytes that are not UTF-8
	first     struct {
		bad, badLine             int64 // not UTF-8
		undefined, undefinedLine int64 // not Windows-1252
	}
}

// begin looks for the byte order mark.
func (s *survey) begin(b []byte) {
	s.info.NUL, s.first.bad, s.first.undefined = -1, -1, -1
	s.info.Encoding = UTF8
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

// bytes looks at the next bytes, which begin at offset at: b after its first
// old bytes, which were seen before as the beginning of a character. It returns how many are to come again.
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
	if s.last == '\r' && b[0] == '\n' {
		s.crlf++
	}
	s.lf += int64(bytes.Count(b, []byte{'\n'}))
	if cr := bytes.Count(b, []byte{'\r'}); cr > 0 {
		s.cr += int64(cr)
		s.crlf += int64(bytes.Count(b, []byte("\r\n")))
	}
	s.last = b[len(b)-1]
	return rest
}

// lineAt returns the line on which the byte after before, the beginning of the block, stands.
func (s *survey) lineAt(before []byte) int64 {
	n := s.lf + s.cr - s.crlf + 1
	n += int64(bytes.Count(before, []byte{'\n'}) + bytes.Count(before, []byte{'\r'}) - bytes.Count(before, []byte("\r\n")))
	if s.last == '\r' && len(before) > 0 && before[0] == '\n' {
		n--
	}
	return n
}

// result returns the Info of all that was seen.
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
	lineEnds(&info, s.lf, s.cr, s.crlf, s.last)
	return info
}

// mostly is how many times more bytes that are not UTF-8 than characters that
// are a Windows-1252 file has at the least. Pairs like "É" and a no-break space look
// like UTF-8 by chance, but seldom; a file with more of them is a mix of
// two encodings, or UTF-8 cut within a character, and either reading would be a guess.
const minBadRatio = 20

func (s *survey) notUTF8(info *Info) {
	switch {
	case info.BOM:
		info.badWhy = "its byte order mark says UTF-8, but the bytes here are not"
	case s.multiByte*minBadRatio > s.bad:
		info.badWhy = "most of the file is UTF-8, but the bytes here are not: it is a mix of encodings, or was cut"
	case s.first.undefined >= 0:
		info.Encoding, info.Assumed = Windows1252, true
		info.Undecodable, info.badLine = s.first.undefined, s.first.undefinedLine
		info.badWhy = "the file is not UTF-8, and Windows-1252 has no character for the byte here"
		return
	default:
		info.Encoding, info.Assumed = Windows1252, true
		return
	}
	info.Undecodable, info.badLine = s.first.bad, s.first.badLine
}

// lineEnds fills in what the line ends say, each count taken over the whole file.
func lineEnds(info *Info, lf, cr, crlf int64, last byte) {
	lone := cr - crlf
	info.Unterminated = info.Bytes > 0 && last != '\n' && last != '\r'
	if last == '\r' && crlf > 0 && lone == 1 {
		// The file was cut between the two.
		info.Unterminated, lone = true, 0
		info.Lines--
	}
	info.Lines += lf + cr - crlf
	if info.Unterminated {
		info.Lines++
	}
	switch lf -= crlf; {
	case lf == 0 && crlf == 0 && lone == 0:
		info.LineEnds = NoLineEnds
	case crlf == 0 && lone == 0:
		info.LineEnds = LF
	case lf == 0 && lone == 0:
		info.LineEnds = CRLF
	case lf == 0 && crlf == 0:
		info.LineEnds = CR
	default:
		info.LineEnds = MixedLineEnds
	}
}

// Problems returns the reasons for which the file can't be read at all: NUL bytes,
// bytes that its encoding doesn't have, no content. file is its base name, for messages.
func (in *Info) Problems(file string) campaign.Problems {
	var p campaign.Problems
	if in.Bytes == 0 {
		p.Addf(file, 0, 0, "", "the file is empty; its first line has to name the columns")
	}
	switch {
	case in.NUL >= 0 && in.NULs > in.Bytes/4 && in.Encoding != UTF16LE && in.Encoding != UTF16BE:
		p.Addf(file, int(in.nulLine), 0, "", "%d of %d bytes are NUL, the first at byte %d: "+
			"UTF-16 without a byte order mark, or an upload that left holes; save it as UTF-8 and drop it again", in.NULs, in.Bytes, in.NUL+1)
		return p
	case in.NUL >= 0:
		p.Addf(file, int(in.nulLine), 0, "", "NUL at byte %d (%d in all): text has none, so the upload was cut or left holes; upload it again", in.NUL+1, in.NULs)
	}
	if in.Undecodable >= 0 {
		p.Addf(file, int(in.badLine), 0, "", "%s (byte %d of the file); save it as UTF-8 and drop it again", in.badWhy, in.Undecodable+1)
	}
	return p
}

// Warnings are what a person should know of a file that can be read: an
// encoding that was assumed, a last line without an end.
func (in *Info) Warnings(file string) []campaign.Problem {
	var w []campaign.Problem
	if in.Assumed && in.Undecodable < 0 {
		w = append(w, campaign.Problem{File: file, Message: "the bytes are not UTF-8 and were read as Windows-1252; save it as UTF-8 if letters look wrong"})
	}
	if in.Unterminated {
		w = append(w, campaign.Problem{File: file, Line: int(min(in.Lines, 1<<31-1)), Message: "the last line has no end: if the upload was cut, rows are missing; " +
			`"rows" or "sha256" in the sidecar would prove the file whole`})
	}
	return w
}
