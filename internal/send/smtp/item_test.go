package smtp

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
)

func render(tpl *campaign.Template, values ...string) string {
	rows := &campaign.Rows{Lines: []uint32{2}, Values: make([]campaign.Column, len(values))}
	for i, v := range values {
		rows.Values[i].AppendString(v)
	}
	return string(tpl.Append(nil, rows, 0))
}

func TestCompile(t *testing.T) {
	c := channel(t, options(25))
	for item, want := range map[string]string{
		`{"subject":"Hi {{a}}","text":"{{a}}"}`:                           `{"subject":"Hi <b>&\"x'","text":"<b>&\"x'"}`,
		`{"html":"<p>{{ a }}</p><a href=\"{{b}}\">","subject":"s"}`:       `{"subject":"s","html":"<p>&lt;b&gt;&amp;&#34;x&#39;</p><a href=\"y\">"}`,
		`{"text":"{{b}}","html":"{{b}}","subject":"{{b}}"}`:               `{"subject":"y","text":"y","html":"y"}`,
		`{"subject":"s","text":"t","from":"Other <other@example.com>"}`:   `{"subject":"s","from":"Other <other@example.com>","text":"t"}`,
		`{"subject":"s","text":"","html":"<style>a{b:c}}</style>"}`:       `{"subject":"s","html":"<style>a{b:c}}</style>"}`,
		`{"subject":"\u00bfs? {{b}}","text":"line\nline \u2028 {{ b }}"}`: `{"subject":"¿s? y","text":"line\nline ` + "\u2028" + ` y"}`,
	} {
		tpl, err := c.Compile(json.RawMessage(item), []string{"a", "b"})
		if err != nil {
			t.Errorf("compile %s: %v", item, err)
			continue
		}
		if got := render(tpl, `<b>&"x'`, "y"); got != want {
			t.Errorf("%s renders\n%s, want\n%s", item, got, want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	c := channel(t, options(25))
	for item, says := range map[string][]string{
		`{}`:                                                               {"has no subject", "neither text nor html"},
		`{"subject":"s"}`:                                                  {"neither text nor html"},
		`{"subject":" ","text":"t"}`:                                       {"has no subject"},
		`{"subject":"s","text":" \n","html":""}`:                           {"neither text nor html"},
		`{"text":"t"}`:                                                     {"has no subject"},
		`{"subject":"s","body":"t"}`:                                       {`unknown key "body"`, `an email has "text" and "html"`, "neither"},
		`{"subjet":"s","text":"t"}`:                                        {`unknown key "subjet"`, `did you mean "subject"?`, "has no subject"},
		`{"Subject":"s","text":"t"}`:                                       {`did you mean "subject"?`},
		`{"subject":"s","text":"t","attachments":[]}`:                      {`unknown key "attachments"`},
		`{"subject":1,"text":null,"html":["x"]}`:                           {"subject: must be a string", "text: must be a string", "html: must be a string"},
		`{"subject":"a\nb","text":"t"}`:                                    {"subject: contains a line break"},
		`{"subject":"a\u0000","text":"t"}`:                                 {"subject: contains"},
		`{"subject":"s","text":"{{nobody}}"}`:                              {`text: variable "nobody"`},
		`{"subject":"s {{","text":"t"}`:                                    {"subject: "},
		`{"subject":"s","text":"t","from":"{{a}}@example.com"}`:            {"from: must be a fixed address"},
		`{"subject":"s","text":"t","from":"a@other.example"}`:              {`"other.example"; this channel sends only for "example.com"`},
		`{"subject":"s","text":"t","from":"nobody"}`:                       {"where from must be an address"},
		`{"subject":"s","text":"t","from":"a@example.com, b@example.com"}`: {"where from must be an address"},
		`[]`:     {"not a JSON object"},
		`{"a":1`: {"read message content"},
	} {
		_, err := c.Compile(json.RawMessage(item), []string{"a"})
		if err == nil {
			t.Errorf("compile took %s", item)
			continue
		}
		for _, s := range says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v; want it to say %q", item, err, s)
			}
		}
	}
}

func TestCheckMessage(t *testing.T) {
	c := channel(t, options(25))
	for content, says := range map[string]string{
		`{"subject":"s","text":"t"}`:                                         "",
		`{"subject":"s","html":"t"}`:                                         "",
		`{"subject":"\"s\\","from":"a@example.com","text":" \n","html":"x"}`: "",
		`{"subject":"s","text":" ","html":"\r\n\t"}`:                         "the message is empty",
		`{"subject":"s","text":""}`:                                          "the message is empty",
		`{"subject":"","text":"t"}`:                                          "the subject is empty",
		`{"subject":"   ","text":"t"}`:                                       "the subject is empty",
		`{"subject":"a\nBcc: b","text":"t"}`:                                 "the subject contains a line break",
		`{"subject":"a\rb","text":"t"}`:                                      "the subject contains a line break",
		`{"subject":"a\tb","text":"t"}`:                                      "the subject contains a tab",
		`{"subject":"a\u0000b","text":"t"}`:                                  "the subject contains a control character",
		"{\"subject\":\"a\x7fb\",\"text\":\"t\"}":                            "the subject contains a control character",
		"{\"subject\":\"a\u0085b\",\"text\":\"t\"}":                          "the subject contains a control character",
		"{\"subject\":\"a\u2028b\",\"text\":\"t\"}":                          "the subject contains a control character",
		`{"subject":"` + strings.Repeat("é", 255) + `","text":"t"}`:          "",
		`{"subject":"` + strings.Repeat("é", 256) + `","text":"t"}`:          "the subject has 256 characters; it may have 255",
		`{"subject":"s","text":"` + strings.Repeat("x", maxContent) + `"}`:   "it may have 5242880",
		`{"body":"t"}`:            "isn't a message of this channel",
		`{"subject":"`:            "isn't a message of this channel",
		`{"subject":"s","from":"`: "isn't a message of this channel",
	} {
		err := c.CheckMessage([]byte(testContact), []byte(content))
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%.80s: %v; want %q", content, err, says)
		}
		m := &send.Message{Key: "k", ContactCode: testContact, Content: json.RawMessage(content)}
		if _, err := c.composer.compose(new(bytes.Buffer), m); strings.Contains(says, "subject holds") && err == nil {
			t.Errorf("%.80s: refused at intake, and written", content)
		}
	}
	if err := c.CheckMessage([]byte("nobody"), []byte(`{"subject":"s","text":"t"}`)); err == nil {
		t.Error("an address without @ is taken")
	}
	if n := testing.AllocsPerRun(100, func() {
		_ = c.CheckMessage([]byte(testContact), []byte(`{"subject":"s","text":"t"}`))
	}); n > 2 { // the two conversions above
		t.Errorf("%v allocations for a good message", n)
	}
}

// A non-ASCII address is sent only to a server that offers SMTPUTF8.
func TestNonASCIIAddress(t *testing.T) {
	for _, can := range []bool{true, false} {
		box := newTestServer(t, func(b *testServer) { b.EnableSMTPUTF8 = can })
		c := channel(t, options(box.port))
		m := hello(t)
		for i, to := range []string{"añá@bücher.example", "ana@example.com"} {
			m.ContactCode = to
			res := try(t, c, m)
			if i == 0 && !can {
				if res.Verdict != send.VerdictPermanent {
					t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictPermanent)
				}
				if !strings.Contains(res.Detail, "xn--") {
					t.Errorf("res.Detail = %q, want \"xn--\" in it", res.Detail)
				}
				continue
			}
			got := box.all()
			switch {
			case res.Verdict != send.VerdictSent:
				t.Errorf("res.Verdict = %v, want %v", res.Verdict, send.VerdictSent)
			case got[len(got)-1].to != to:
				t.Errorf("got[len(got)-1].to = %q, want %q", got[len(got)-1].to, to)
			case got[len(got)-1].options.UTF8 != (i == 0):
				t.Errorf("got[len(got)-1].options.UTF8 = %v, want %v", got[len(got)-1].options.UTF8, (i == 0))
			}
			if o := open(t, got[len(got)-1].data); o.header.Get("To") != "<"+to+">" {
				t.Errorf("To: %s", o.header.Get("To"))
			}
		}
	}
}

func TestNewRefuses(t *testing.T) {
	good := options(25)
	for name, spoil := range map[string]func(*Options){
		"from":                func(o *Options) { o.From = "" },
		"from ":               func(o *Options) { o.From = "añá@example.com" },
		"from  ":              func(o *Options) { o.From = "a@b.example, c@d.example" },
		"reply_to":            func(o *Options) { o.ReplyTo = "nobody" },
		"list_unsubscribe":    func(o *Options) { o.ListUnsubscribe = "http://x.example/" },
		"list_unsubscribe ":   func(o *Options) { o.ListUnsubscribe = "https://x.example/{{name}}" },
		"list_unsubscribe  ":  func(o *Options) { o.ListUnsubscribe = "https://x.example/>,<https://evil.example" },
		"list_unsubscribe   ": func(o *Options) { o.ListUnsubscribe = "mailto:nobody" },
		"list_unsubscribe {{": func(o *Options) { o.ListUnsubscribe = "mailto:{{" },
		"dkim_key_file":       func(o *Options) { o.DKIM = &DKIM{Domain: "example.com", Selector: "s", Key: []byte("hunter2")} },
	} {
		o := good
		spoil(&o)
		_, err := New(o)
		if err == nil {
			t.Errorf("%s: New took %+v", name, o)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	if c, err := New(Options{Host: "::1", Port: 587, From: "shop@example.com"}); err != nil || c.addr != "[::1]:587" {
		t.Errorf("IPv6: %+v, %v", c, err)
	}
}

// FuzzMessage: neither CheckMessage nor the composer panics, and what both accept is a valid email.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"subject":"s","text":"t"}`))
	f.Add([]byte(`{"subject":"a\nb","from":"x","text":"","html":"<p>"}`))
	f.Add([]byte("{\"subject\":\"\x80\\"))
	c, err := New(options(25))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		checked := c.CheckMessage([]byte(testContact), data)
		l, err := c.composer.compose(new(bytes.Buffer), &send.Message{Key: "k", ContactCode: testContact, Content: data})
		if err != nil || checked != nil || !json.Valid(data) {
			return
		}
		open(t, string(l.data))
	})
}

// FuzzReply: no reply of a server puts a contact or a line break into a text.
func FuzzReply(f *testing.F) {
	f.Add(550, "5.1.1 <"+testContact+">: no such user", 5)
	f.Add(421, "4.7.0", 2)
	f.Fuzz(func(t *testing.T, code int, text string, at int) {
		play := newFailure(code, text, step(at))
		c, err := New(options(25))
		if err != nil {
			t.Fatal(err)
		}
		got := c.classify(t.Context(), &email{key: "k"}, play)
		switch {
		case got.Verdict == 0:
			t.Fatalf("%d %q at %d: got.Verdict: got 0", code, text, at)
		case strings.ContainsAny(got.Detail+got.Code, "\r\n\x00"):
			t.Fatalf(`%d %q at %d: strings.ContainsAny(got.Detail+got.Code, "\r\n\x00"): got true, want false`, code, text, at)
		case strings.Contains(got.Detail+got.Code, testContact):
			t.Fatalf("%d %q at %d: got.Detail+got.Code: got %q, want no %q in it", code, text, at, got.Detail+got.Code, testContact)
		case got.Verdict == send.VerdictUnknown && step(at) != stepEnd:
			t.Fatalf("%d %q at %d: got.Verdict == send.VerdictUnknown && step(at) != stepEnd: got true, want false", code, text, at)
		}
	})
}
