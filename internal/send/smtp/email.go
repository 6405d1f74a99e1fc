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
	"campaignd/internal/send"
)

// writer makes letters. It never changes.
type writer struct {
	from, replyTo *mail.Address // replyTo may be nil
	domain        string        // of from
	unsubscribe   []campaign.Segment
	oneClick      bool
	signer        *signer // nil: unsigned
}

// letter is a message as it goes over the wire.
type letter struct {
	key  string
	id   string // Message-ID without its brackets
	to   string
	utf8 bool // the address needs SMTPUTF8 (RFC 6531)
	data []byte
}

func newWriter(o Options) (writer, error) {
	var w writer
	var err error
	if w.from, err = ownAddress("from", o.From); err != nil {
		return w, err
	}
	w.domain = strings.ToLower(w.from.Address[strings.LastIndexByte(w.from.Address, '@')+1:])
	if o.ReplyTo != "" {
		if w.replyTo, err = ownAddress("reply_to", o.ReplyTo); err != nil {
			return w, err
		}
	}
	if w.unsubscribe, w.oneClick, err = readUnsubscribe(o.ListUnsubscribe); err != nil {
		return w, err
	}
	if o.DKIM != nil {
		w.signer, err = newSigner(*o.DKIM)
	}
	return w, err
}

// readUnsubscribe reads the address of the List-Unsubscribe header (RFC 2369); https
// makes it one-click (RFC 8058).
func readUnsubscribe(text string) (segments []campaign.Segment, oneClick bool, err error) {
	if text == "" {
		return nil, false, nil
	}
	wrong := fmt.Errorf("found %q where list_unsubscribe must be mailto: and an address, or an https URL; {{key}} and {{contact}} may stand in it", text)
	segments, _, err = campaign.Split(text)
	if err != nil {
		return nil, false, wrong
	}
	for _, s := range segments {
		if s.Variable != "" && s.Variable != "key" && s.Variable != "contact" {
			return nil, false, wrong
		}
	}
	filled := unsubscribeURL(segments, "key", "contact")
	u, err := url.Parse(filled)
	switch {
	case err != nil || !ascii(filled) || strings.ContainsAny(filled, " <>,\"") || strings.ContainsFunc(filled, control):
		return nil, false, wrong
	case u.Scheme == "mailto" && checkAddress([]byte(u.Opaque)) == nil:
		return segments, false, nil
	case u.Scheme == "https" && u.Hostname() != "":
		return segments, true, nil
	}
	return nil, false, wrong
}

// unsubscribeURL fills in the key and the contact, whatever they hold as data.
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

// checkFrom refuses an item's from that is no fixed address of the channel's domain.
func (w *writer) checkFrom(from string) error {
	if from == "" {
		return nil
	}
	if strings.Contains(from, "{{") {
		return errors.New("from: must be a fixed address: who sends is not for a cell to say")
	}
	a, err := ownAddress("from", from)
	if err != nil {
		return err
	}
	if domain := a.Address[strings.LastIndexByte(a.Address, '@')+1:]; !strings.EqualFold(domain, w.domain) {
		return fmt.Errorf("from: found an address of %q; this channel sends for %q alone", domain, w.domain)
	}
	return nil
}

// errUnsigned is returned when the key doesn't sign, which it then does for no message.
var errUnsigned = errors.New("messages can't be signed: check dkim_key_file")

// write makes the letter of m. An error but errUnsigned is for good: it says,
// without contact data, what of the message can't be sent.
func (w *writer) write(m *send.Message) (*letter, error) {
	var c content
	if err := json.Unmarshal(m.Content, &c); err != nil {
		return nil, errNotOurs
	}
	if err := checkAddress([]byte(m.ContactCode)); err != nil {
		return nil, err
	}
	// It was checked at intake. It is looked at again since a header hangs on it.
	if strings.ContainsFunc(c.Subject, control) {
		return nil, errSubject(0)
	}
	if err := w.checkFrom(c.From); err != nil {
		return nil, err
	}
	l := &letter{key: m.Key, id: m.Key + "@" + w.domain, to: m.ContactCode, utf8: !ascii(m.ContactCode)}
	msg := w.compose(l, &c, m.SentAt)
	var b bytes.Buffer
	b.Grow(1024 + 2*len(m.Content))
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, errors.New("the message can't be written as mail")
	}
	l.data = b.Bytes()
	if w.signer != nil {
		var err error
		if l.data, err = w.signer.sign(l.data); err != nil {
			return nil, errUnsigned
		}
	}
	return l, nil
}

func (w *writer) compose(l *letter, c *content, at time.Time) *gomail.Msg {
	// The boundary between parts stays go-mail's random one: a cell that could foretell it could add a part.
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	from := w.from
	if c.From != "" {
		from, _ = mail.ParseAddress(c.From) // checkFrom has read it
	}
	msg.FromMailAddress(from)
	msg.ToMailAddress(&mail.Address{Address: l.to})
	if w.replyTo != nil {
		msg.ReplyToMailAddress(w.replyTo)
	}
	setSubject(msg, c.Subject)
	msg.SetDateWithValue(at)
	msg.SetMessageIDWithValue(l.id)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no one's absence notice comes back
	if w.unsubscribe != nil {
		msg.SetListUnsubscribe(unsubscribeURL(w.unsubscribe, l.key, l.to))
		if w.oneClick {
			msg.SetListUnsubscribePost()
		}
	}
	part := func(kind gomail.ContentType, text string) {
		encoding, text := encode(text)
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

// setSubject writes a subject so that it is read as it is. Left to itself, ASCII would
// go out bare: a cell that looks like an encoded word (RFC 2047) would be decoded,
// and spaces and long words would be folded in ways that not every reader undoes.
func setSubject(msg *gomail.Msg, subject string) {
	odd := strings.Contains(subject, "=?") || strings.Contains(subject, "  ") || strings.Trim(subject, " ") != subject ||
		slices.ContainsFunc(strings.Fields(subject), func(word string) bool { return len(word) > longestWord })
	if !odd || !ascii(subject) { // the others are encoded whole
		msg.Subject(subject)
		return
	}
	var words []string
	for piece := range slices.Chunk([]byte(subject), longestWord*3/4) {
		words = append(words, "=?utf-8?b?"+base64.StdEncoding.EncodeToString(piece)+"?=")
	}
	msg.SetGenHeaderPreformatted(gomail.HeaderSubject, strings.Join(words, "\r\n "))
}

// longestWord keeps a header's line, with its name, below 78 characters (RFC 5322, 2.1.1).
const longestWord = 56

// encode picks how text crosses servers that know ASCII and short lines alone:
// quoted-printable, or base64 where that is shorter.
func encode(text string) (gomail.Encoding, string) {
	beyond := 0
	for i := range len(text) {
		if text[i] >= 0x80 {
			beyond++
		}
	}
	if beyond <= len(text)/6 { // 3 bytes each, against 4/3 for all
		return gomail.EncodingQP, text
	}
	// Base64 carries line ends as they are, and those of a text are CRLF (RFC 2045, 6.8).
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	return gomail.EncodingB64, strings.ReplaceAll(text, "\n", "\r\n")
}
