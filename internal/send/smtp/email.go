package smtp

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/send"
)

// composer turns messages into emails. It is immutable.
type composer struct {
	from, replyTo *mail.Address // replyTo may be nil
	domain        string        // of from
	unsubscribe   []campaign.Segment
	oneClick      bool
	signer        *signer // nil: unsigned
}

// email is a message as it is written to the server.
type email struct {
	key  string
	id   string // Message-ID without angle brackets
	to   string
	utf8 bool // the address needs SMTPUTF8 (RFC 6531)
	data []byte
}

func newComposer(o Options) (composer, error) {
	var cp composer
	var err error
	if cp.from, err = parseSender("from", o.From); err != nil {
		return cp, err
	}
	cp.domain = strings.ToLower(cp.from.Address[strings.LastIndexByte(cp.from.Address, '@')+1:])
	if o.ReplyTo != "" {
		if cp.replyTo, err = parseSender("reply_to", o.ReplyTo); err != nil {
			return cp, err
		}
	}
	if o.ListUnsubscribe != "" {
		if cp.unsubscribe, cp.oneClick, err = readUnsubscribe(o.ListUnsubscribe); err != nil {
			return cp, fmt.Errorf("list_unsubscribe: %w", err)
		}
	}
	if o.DKIM != nil {
		cp.signer, err = newSigner(*o.DKIM)
	}
	return cp, err
}

// readUnsubscribe parses the address for the List-Unsubscribe header (RFC 2369). An https
// address means one-click (RFC 8058).
func readUnsubscribe(text string) (segments []campaign.Segment, oneClick bool, err error) {
	if segments, _, err = campaign.Split(text); err != nil {
		return nil, false, err
	}
	for _, s := range segments {
		if v := s.Variable; v != "" && v != "key" && v != "contact" {
			return nil, false, config.Found("{{"+v+"}}", "{{key}} or {{contact}}")
		}
	}
	filled := unsubscribeURL(segments, "key", "contact")
	u, err := url.Parse(filled)
	switch {
	case err != nil || !ascii(filled) || strings.ContainsAny(filled, " <>,\"") || strings.ContainsFunc(filled, control):
	case u.Scheme == "mailto" && checkAddress([]byte(u.Opaque)) == nil:
		return segments, false, nil
	case u.Scheme == "https" && u.Hostname() != "":
		return segments, true, nil
	}
	return nil, false, config.Found(text, `"mailto:address" or an https URL`)
}

// unsubscribeURL fills in the key and the contact, escaped.
func unsubscribeURL(segments []campaign.Segment, key, contact string) string {
	var b strings.Builder
	for _, s := range segments {
		switch s.Variable {
		case "":
			b.WriteString(s.Text)
		case "key":
			b.WriteString(url.QueryEscape(key))
		default:
			b.WriteString(url.QueryEscape(contact))
		}
	}
	return b.String()
}

// sender returns the sender of an item: the channel's if from is empty, otherwise from, which must be a
// fixed address of the channel's domain.
func (cp *composer) sender(from string) (*mail.Address, error) {
	if from == "" {
		return cp.from, nil
	}
	if strings.Contains(from, "{{") {
		return nil, errors.New("from: must be a fixed address without variables")
	}
	a, err := parseSender("from", from)
	if err != nil {
		return nil, err
	}
	if domain := a.Address[strings.LastIndexByte(a.Address, '@')+1:]; !strings.EqualFold(domain, cp.domain) {
		return nil, fmt.Errorf("from: found an address of %q; this channel sends only for %q", domain, cp.domain)
	}
	return a, nil
}

// errUnsigned is returned when the key can't sign. It can't sign any message then.
var errUnsigned = errors.New("messages can't be signed: check dkim_key_file, then reload")

// compose returns the email for m, whose data is in b. An error other than errUnsigned is permanent; it
// contains no contact data.
func (cp *composer) compose(b *bytes.Buffer, m *send.Message) (*email, error) {
	var c content
	if err := json.Unmarshal(m.Content, &c, jsontext.AllowInvalidUTF8(true)); err != nil {
		return nil, errNotAMessage
	}
	if err := checkAddress([]byte(m.ContactCode)); err != nil {
		return nil, err
	}
	// Intake has checked it. A line break here would add a header, so it is checked again.
	if strings.ContainsFunc(c.Subject, control) {
		return nil, errSubject(0)
	}
	from, err := cp.sender(c.From)
	if err != nil {
		return nil, err
	}
	e := &email{key: m.Key, id: m.Key + "@" + cp.domain, to: m.ContactCode, utf8: !ascii(m.ContactCode)}
	b.Reset()
	cp.write(b, e, from, &c, m.SentAt)
	e.data = b.Bytes()
	if cp.signer != nil {
		if e.data, err = cp.signer.sign(e.data); err != nil {
			return nil, errUnsigned
		}
	}
	return e, nil
}

// write writes the headers and the parts of an email. Writes into memory don't fail.
func (cp *composer) write(b *bytes.Buffer, e *email, from *mail.Address, c *content, at time.Time) {
	writeHeader(b, "Date", at.Format(time.RFC1123Z))
	writeHeader(b, "From", from.String())
	writeHeader(b, "To", (&mail.Address{Address: e.to}).String())
	if cp.replyTo != nil {
		writeHeader(b, "Reply-To", cp.replyTo.String())
	}
	writeHeader(b, "Subject", encodeSubject(c.Subject))
	writeHeader(b, "Message-ID", "<"+e.id+">")
	writeHeader(b, "Auto-Submitted", "auto-generated") // RFC 3834: suppresses absence notices
	if cp.unsubscribe != nil {
		writeHeader(b, "List-Unsubscribe", "<"+unsubscribeURL(cp.unsubscribe, e.key, e.to)+">")
		if cp.oneClick {
			writeHeader(b, "List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
		}
	}
	writeHeader(b, "MIME-Version", "1.0")
	const plain, html = "text/plain; charset=UTF-8", "text/html; charset=UTF-8"
	switch {
	case strings.TrimSpace(c.HTML) == "":
		writePart(b, plain, c.Text)
	case strings.TrimSpace(c.Text) == "":
		writePart(b, html, c.HTML)
	default:
		// The boundary is random: a cell that could predict it could add a part.
		boundary := rand.Text()
		writeHeader(b, "Content-Type", "multipart/alternative; boundary="+boundary)
		b.WriteString("\r\n--" + boundary + "\r\n")
		writePart(b, plain, c.Text)
		b.WriteString("\r\n--" + boundary + "\r\n")
		writePart(b, html, c.HTML) // the last alternative is the one preferred (RFC 2046, 5.1.4)
		b.WriteString("\r\n--" + boundary + "--\r\n")
	}
}

// maxLine is the length that a header's line should not exceed (RFC 5322, 2.1.1).
const maxLine = 78

// writeHeader writes a header, folded at its spaces.
func writeHeader(b *bytes.Buffer, name, value string) {
	b.WriteString(name)
	b.WriteByte(':')
	room := maxLine - len(name) - 1
	for word := range strings.SplitSeq(value, " ") {
		if len(word) >= room {
			b.WriteString("\r\n")
			room = maxLine
		}
		b.WriteByte(' ')
		b.WriteString(word)
		room -= len(word) + 1
	}
	b.WriteString("\r\n")
}

// encodeSubject returns a subject that readers show unchanged. package mime doesn't encode ASCII: a
// cell that looks like an encoded word (RFC 2047) would be decoded, and spaces and long words would
// be folded in ways that not every reader undoes.
func encodeSubject(subject string) string {
	odd := strings.Contains(subject, "=?") || strings.Contains(subject, "  ") || strings.Trim(subject, " ") != subject ||
		slices.ContainsFunc(strings.Fields(subject), func(word string) bool { return len(word) > maxWordLen })
	if !odd || !ascii(subject) {
		return mime.QEncoding.Encode("utf-8", subject)
	}
	var words []string
	for piece := range slices.Chunk([]byte(subject), maxWordLen*3/4) {
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString(piece)+"?=")
	}
	return strings.Join(words, " ")
}

// maxWordLen keeps a header's line, with its name, below 78 characters (RFC 5322, 2.1.1).
const maxWordLen = 56

// writePart writes a text with its headers, as quoted-printable or base64, whichever is shorter: some
// servers take only ASCII and short lines.
func writePart(b *bytes.Buffer, contentType, text string) {
	beyond := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			beyond++
		}
	}
	writeHeader(b, "Content-Type", contentType)
	if beyond <= len(text)/6 { // quoted-printable: 3 bytes each; base64: 4/3 for all bytes
		b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
		w := quotedprintable.NewWriter(b)
		_, _ = io.WriteString(w, text)
		_ = w.Close()
		return
	}
	b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n")
	// Base64 keeps line ends, and a text's must be CRLF (RFC 2045, 6.8).
	text = strings.NewReplacer("\r\n", "\r\n", "\r", "\r\n", "\n", "\r\n").Replace(text)
	for line := range slices.Chunk([]byte(text), 57) { // 76 characters, the most that RFC 2045 allows
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), line))
		b.WriteString("\r\n")
	}
}
