package smtp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

// parsedEmail is an email as a receiver parses it.
type parsedEmail struct {
	header mail.Header
	types  []string
	bodies []string
}

// testingT is a *testing.T or a *rapid.T.
type testingT interface {
	Helper()
	Fatalf(format string, args ...any)
}

// open parses an email strictly.
func open(t testingT, data string) parsedEmail {
	t.Helper()
	head, _, _ := strings.Cut(data, "\r\n\r\n")
	for line := range strings.SplitSeq(head, "\r\n") {
		if strings.ContainsAny(line, "\r\n") {
			t.Fatalf("a header line of %d bytes, or with a bare line end: line = %q, want none of %q in it", len(line), line, "\r\n")
		}
		if len(line) > 998 {
			t.Fatalf("a header line of %d bytes, or with a bare line end: len(line) = %v, want at most 998: %q", len(line), len(line), line)
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(data))
	if err != nil {
		t.Fatalf("read mail: %v in %q", err, data)
	}
	o := parsedEmail{header: m.Header}
	add := func(kind, encoding string, r io.Reader) {
		media, params, err := mime.ParseMediaType(kind)
		switch {
		case err != nil:
			t.Fatalf("content type %q: %v", kind, err)
		case params["charset"] != "UTF-8":
			t.Fatalf("content type %q: params[\"charset\"] = %q, want \"UTF-8\"", kind, params["charset"])
		}
		switch encoding {
		case "quoted-printable":
			r = quotedprintable.NewReader(r)
		case "base64":
			r = base64.NewDecoder(base64.StdEncoding, r)
		default:
			t.Fatalf("encoding %q", encoding)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("read part: %v", err)
		}
		o.types, o.bodies = append(o.types, media), append(o.bodies, string(body))
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatalf("content type: %v", err)
	}
	if kind != "multipart/alternative" {
		add(m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
		return o
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return o
		}
		if err != nil {
			t.Fatalf("next part: %v", err)
		}
		add(part.Header.Get("Content-Type"), part.Header.Get("Content-Transfer-Encoding"), part)
	}
}

func written(t testing.TB, o Options, m *send.Message) parsedEmail {
	t.Helper()
	w, err := newComposer(o)
	if err != nil {
		t.Fatal(err)
	}
	l, err := w.compose(new(bytes.Buffer), m)
	if err != nil {
		t.Fatal(err)
	}
	return open(t, string(l.data))
}

func TestEmailHeaders(t *testing.T) {
	o := options(25)
	o.ReplyTo, o.ListUnsubscribe = "Help <help@example.com>", "https://shop.example.com/unsubscribe?m={{key}}&a={{ contact }}"
	m := message(t, content{Subject: "¿Qué tal, Ana? " + strings.Repeat("Un asunto más largo. ", 8), Text: "Hola Ana\n.\nAdiós", HTML: "<p>Hola Ana</p>"})
	m.SentAt = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	m.ContactCode = "ana+news&more@mail.example"
	got := written(t, o, m)
	want := mail.Header{
		"From": {"=?utf-8?q?Shop_=C3=91?= <shop@example.com>"}, "To": {"<ana+news&more@mail.example>"}, "Reply-To": {`"Help" <help@example.com>`},
		"Date": {"Tue, 24 Nov 2026 10:00:00 +0000"}, "Message-Id": {"<20261124-000007-42-1-9f3c01ab@example.com>"}, "Mime-Version": {"1.0"},
		"Auto-Submitted":        {"auto-generated"},
		"List-Unsubscribe":      {"<https://shop.example.com/unsubscribe?m=20261124-000007-42-1-9f3c01ab&a=ana%2Bnews%26more%40mail.example>"},
		"List-Unsubscribe-Post": {"List-Unsubscribe=One-Click"},
		"Subject":               got.header["Subject"], "Content-Type": got.header["Content-Type"],
	}
	if diff := cmp.Diff(want, got.header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject"))
	if err != nil || subject != "¿Qué tal, Ana? "+strings.Repeat("Un asunto más largo. ", 8) {
		t.Errorf("subject %q, %v", subject, err)
	}
	if diff := cmp.Diff([]string{"text/plain", "text/html"}, got.types); diff != "" {
		t.Errorf("parts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Hola Ana\r\n.\r\nAdiós", "<p>Hola Ana</p>"}, got.bodies); diff != "" {
		t.Errorf("bodies (-want +got):\n%s", diff)
	}
}

// Lines of a header have at most 78 characters (RFC 5322, 2.1.1), and unfolding them gives the value.
func TestHeaderIsFolded(t *testing.T) {
	for _, value := range []string{"", "a", strings.Repeat("x", 70), strings.Repeat("x", 69) + " y", strings.Repeat("word ", 40) + "end",
		encodeSubject(strings.Repeat("¿Qué tal? ", 20)), encodeSubject(strings.Repeat("a  b ", 50))} {
		var b bytes.Buffer
		writeHeader(&b, "Subject", value)
		text := strings.TrimSuffix(b.String(), "\r\n")
		if got, want := strings.ReplaceAll(text, "\r\n", ""), "Subject: "+value; got != want {
			t.Errorf("unfolded: %q, want %q", got, want)
		}
		for line := range strings.SplitSeq(text, "\r\n") {
			if len(line) > maxLine || strings.TrimSpace(line) == "" {
				t.Errorf("got a line of %d characters, want 1 to %d: %q in %q", len(line), maxLine, line, text)
			}
		}
	}
}

func TestEmailParts(t *testing.T) {
	long := strings.Repeat("Привет, Анна! ", 200) + "\n" + strings.Repeat("x", 3000) + "\r\nend\rof it"
	for _, c := range []struct {
		content content
		types   []string
		bodies  []string
	}{
		{content{Text: "a"}, []string{"text/plain"}, []string{"a"}},
		{content{HTML: "<p>a"}, []string{"text/html"}, []string{"<p>a"}},
		{content{Text: " ", HTML: "<p>a"}, []string{"text/html"}, []string{"<p>a"}},
		{content{Text: long}, []string{"text/plain"}, []string{strings.NewReplacer("\r\n", "\r\n", "\n", "\r\n", "\r", "\r\n").Replace(long)}},
		{content{Text: "日本語\n日本語"}, []string{"text/plain"}, []string{"日本語\r\n日本語"}},
	} {
		c.content.Subject = "s"
		got := written(t, options(25), message(t, c.content))
		if diff := cmp.Diff(c.types, got.types); diff != "" {
			t.Errorf("types (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(c.bodies, got.bodies); diff != "" {
			t.Errorf("bodies (-want +got):\n%s", diff)
		}
		for _, absent := range []string{"List-Unsubscribe", "List-Unsubscribe-Post", "Reply-To", "X-Mailer", "User-Agent"} {
			if got.header.Get(absent) != "" {
				t.Errorf("%s: %s", absent, got.header.Get(absent))
			}
		}
	}
	o := options(25)
	o.ListUnsubscribe = "mailto:bye+{{key}}@example.com?subject={{contact}}"
	got := written(t, o, message(t, content{Subject: "s", Text: "a", From: "Other <other@EXAMPLE.com>"}))
	if got.header.Get("List-Unsubscribe") != "<mailto:bye+20261124-000007-42-1-9f3c01ab@example.com?subject=ana.lopez34600111222%40mail.example>" {
		t.Errorf("mailto: List-Unsubscribe = %q, want %q", got.header.Get("List-Unsubscribe"), "<mailto:bye+20261124-000007-42-1-9f3c01ab@example.com?subject=ana.lopez34600111222%40mail.example>")
	}
	if got.header.Get("List-Unsubscribe-Post") != "" {
		t.Errorf("mailto: List-Unsubscribe-Post = %q, want none", got.header.Get("List-Unsubscribe-Post"))
	}
	if got.header.Get("From") != `"Other" <other@EXAMPLE.com>` {
		t.Errorf("From: %s", got.header.Get("From"))
	}
}

// cell draws a cell with text that could escape from its place.
func cell(t *rapid.T, label string) string {
	pieces := []string{"\r\n", "\n", "\r", "\x00", "\t", " ", "Bcc: eve@evil.example", ".", "\r\n.\r\nMAIL FROM:<eve@evil.example>\r\n",
		"=?utf-8?q?x?=", "=0D=0A", "--", "boundary", "\u2028", "\u0085", "\xff", "é", "<script>", "{{name}}", `"`, `\`, "a", "@", "mail.example", ">", ",", "%0d%0a", "\x7f", "日本", "ana@mail.example"}
	if rapid.Bool().Draw(t, label+" at random") {
		return rapid.String().Draw(t, label)
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 5).Draw(t, label), "")
}

// A message that CheckMessage accepts becomes an email with each header once, the right
// subject and the right parts, whatever the cells contain.
func TestCellAddsAHeader(t *testing.T) {
	o := options(25)
	o.ListUnsubscribe = "https://shop.example.com/u?{{contact}}"
	c := channel(t, o)
	tpl, err := c.Compile(json.RawMessage(`{"html":"<p title=\"{{a}}\">{{a}}</p>","subject":"Dear {{a}}","text":"Text: {{a}}\n{{b}}"}`), []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"Auto-Submitted", "Content-Type", "Date", "From", "List-Unsubscribe", "List-Unsubscribe-Post", "Message-Id", "Mime-Version", "Subject", "To"}
	taken := 0
	rapid.Check(t, func(t *rapid.T) {
		a, b := cell(t, "a"), cell(t, "b")
		to := "ana@mail.example"
		if rapid.Bool().Draw(t, "hostile contact") {
			to = cell(t, "to")
		}
		rows := &campaign.Rows{Lines: []uint32{2}, Values: make([]campaign.Column, 2)}
		rows.Values[0].AppendString(a)
		rows.Values[1].AppendString(b)
		rendered := tpl.Append(nil, rows, 0)
		if c.CheckMessage([]byte(to), rendered) != nil {
			return
		}
		taken++
		m := &send.Message{Key: "k", ContactCode: to, Content: rendered}
		l, err := c.composer.compose(new(bytes.Buffer), m)
		if err != nil {
			t.Fatalf("checked, but not written: %v", err)
		}
		got := open(t, string(l.data))
		if diff := cmp.Diff(names, slices.Sorted(maps.Keys(got.header))); diff != "" {
			t.Fatalf("headers (-want +got):\n%s", diff)
		}
		for name, values := range got.header {
			if len(values) != 1 {
				t.Fatalf("%s is there %d times", name, len(values))
			}
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject"))
		if want := string([]rune("Dear " + a)); err != nil || subject != want {
			t.Fatalf("subject %q, %v; want %q", subject, err, want)
		}
		switch {
		case len(got.bodies) != 2:
			t.Fatalf("len(got.bodies) = %v, want 2: %+v", len(got.bodies), got.bodies)
		case strings.Contains(got.bodies[1], "<script>"):
			t.Fatalf("got.bodies[1] = %q, want no \"<script>\" in it", got.bodies[1])
		case strings.Count(got.bodies[1], `"`) != 2:
			t.Fatalf("strings.Count(got.bodies[1], `\"`) = %v, want 2", strings.Count(got.bodies[1], `"`))
		}
		switch address, err := mail.ParseAddress(got.header.Get("To")); {
		case err != nil:
			t.Fatalf("To: %v\n%s", err, got.header.Get("To"))
		case address.Address != to:
			t.Fatalf("To: address.Address = %q, want %q\n%s", address.Address, to, got.header.Get("To"))
		}
	})
	if taken == 0 {
		t.Error("no cell was taken at all")
	}
}

func BenchmarkCompose(b *testing.B) {
	w, err := newComposer(options(25))
	if err != nil {
		b.Fatal(err)
	}
	text := "Hello John, your ticket 4711 has been answered. You can read the answer on our site at any time, and write to us again."
	for name, c := range map[string]content{
		"text": {Subject: "Your ticket 4711", Text: text},
		"html": {Subject: "¿Qué tal, Ana?", Text: text, HTML: strings.Repeat("<p>"+text+"</p>\n", 10)},
	} {
		m := message(b, c)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var data bytes.Buffer
			for b.Loop() {
				if _, err := w.compose(&data, m); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
