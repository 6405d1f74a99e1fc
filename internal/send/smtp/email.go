package smtp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

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

// checkFrom returns an error unless an item's from is empty or a fixed address of the channel's domain.
func (cp *composer) checkFrom(from string) error {
	if from == "" {
		return nil
	}
	if strings.Contains(from, "{{") {
		return errors.New("from: must be a fixed address without variables")
	}
	a, err := parseSender("from", from)
	if err != nil {
		return err
	}
	if domain := a.Address[strings.LastIndexByte(a.Address, '@')+1:]; !strings.EqualFold(domain, cp.domain) {
		return fmt.Errorf("from: found an address of %q; this channel sends only for %q", domain, cp.domain)
	}
	return nil
}

// errUnsigned is returned when the key can't sign. It can't sign any message then.
var errUnsigned = errors.New("messages can't be signed: check dkim_key_file")

// compose returns the email for m. An error other than errUnsigned is permanent; it
// contains no contact data.
func (cp *composer) compose(m *send.Message) (*email, error) {
	var c content
	if err := json.Unmarshal(m.Content, &c); err != nil {
		return nil, errNotAMessage
	}
	if err := checkAddress([]byte(m.ContactCode)); err != nil {
		return nil, err
	}
	// Intake has checked it. A line break here would add a header, so it is checked again.
	if strings.ContainsFunc(c.Subject, control) {
		return nil, errSubject(0)
	}
	if err := cp.checkFrom(c.From); err != nil {
		return nil, err
	}
	e := &email{key: m.Key, id: m.Key + "@" + cp.domain, to: m.ContactCode, utf8: !ascii(m.ContactCode)}
	msg := cp.buildMessage(e, &c, m.SentAt)
	var b bytes.Buffer
	b.Grow(1024 + 2*len(m.Content))
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, errors.New("the message can't be written as mail")
	}
	e.data = b.Bytes()
	if cp.signer != nil {
		var err error
		if e.data, err = cp.signer.sign(e.data); err != nil {
			return nil, errUnsigned
		}
	}
	return e, nil
}

func (cp *composer) buildMessage(e *email, c *content, at time.Time) *gomail.Msg {
	// The boundary between parts is random (go-mail): a cell that could predict it could add a part.
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	from := cp.from
	if c.From != "" {
		from, _ = mail.ParseAddress(c.From) // checkFrom has validated it
	}
	msg.FromMailAddress(from)
	msg.ToMailAddress(&mail.Address{Address: e.to})
	if cp.replyTo != nil {
		msg.ReplyToMailAddress(cp.replyTo)
	}
	setSubject(msg, c.Subject)
	msg.SetDateWithValue(at)
	msg.SetMessageIDWithValue(e.id)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: suppresses absence notices
	if cp.unsubscribe != nil {
		msg.SetListUnsubscribe(unsubscribeURL(cp.unsubscribe, e.key, e.to))
		if cp.oneClick {
			msg.SetListUnsubscribePost()
		}
	}
	part := func(kind gomail.ContentType, text string) {
		encoding, text := chooseEncoding(text)
		msg.AddAlternativeString(kind, text, gomail.WithPartEncoding(encoding))
	}
	if strings.TrimSpace(c.Text) != "" || c.HTML == "" {
		part(gomail.TypeTextPlain, c.Text)
	}
	if strings.TrimSpace(c.HTML) != "" { // the last alternative is the one preferred (RFC 2046, 5.1.4)
		part(gomail.TypeTextHTML, c.HTML)
	}
	return msg
}

// setSubject sets a subject that readers show unchanged. By default ASCII isn't
// encoded: a cell that looks like an encoded word (RFC 2047) would be decoded, and
// spaces and long words would be folded in ways that not every reader undoes.
func setSubject(msg *gomail.Msg, subject string) {
	odd := strings.Contains(subject, "=?") || strings.Contains(subject, "  ") || strings.Trim(subject, " ") != subject ||
		slices.ContainsFunc(strings.Fields(subject), func(word string) bool { return len(word) > maxWordLen })
	if !odd || !ascii(subject) { // go-mail encodes the whole subject
		msg.Subject(subject)
		return
	}
	var words []string
	for piece := range slices.Chunk([]byte(subject), maxWordLen*3/4) {
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString(piece)+"?=")
	}
	msg.SetGenHeaderPreformatted(gomail.HeaderSubject, strings.Join(words, "\r\n "))
}

// maxWordLen keeps a header's line, with its name, below 78 characters (RFC 5322, 2.1.1).
const maxWordLen = 56

// chooseEncoding returns the shorter of quoted-printable and base64 for a text: some servers
// take only ASCII and short lines.
func chooseEncoding(text string) (gomail.Encoding, string) {
	beyond := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			beyond++
		}
	}
	if beyond <= len(text)/6 { // quoted-printable: 3 bytes each; base64: 4/3 for all bytes
		return gomail.EncodingQP, text
	}
	// Base64 keeps line ends, and a text's must be CRLF (RFC 2045, 6.8).
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	return gomail.EncodingB64, strings.ReplaceAll(text, "\n", "\r\n")
}
