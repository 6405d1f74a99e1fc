package graphfake

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const address = "/v23.0/106540352242922/messages"

// post sends a request to s and returns the status and the error's code, -1 if there is none.
func post(t *testing.T, s *Server, path, body string, change func(*http.Request)) (status, code int) {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	req.Header.Set("Authorization", "Bearer secret-token")
	req.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(req)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	var reply struct {
		Error *struct{ Code int }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &reply); err != nil {
		t.Fatalf("answered %q: %v", rec.Body, err)
	}
	if reply.Error == nil {
		return rec.Code, -1
	}
	return rec.Code, reply.Error.Code
}

func textTo(to, rest string) string {
	return `{"messaging_product":"whatsapp","recipient_type":"individual","to":"` + to + `","biz_opaque_callback_data":"k","type":"text","text":{"body":"hi"` + rest + `}}`
}

func with(template string) string {
	return `{"messaging_product":"whatsapp","recipient_type":"individual","to":"34666000111","type":"template","template":` + template + `}`
}

// TestStrict: what Meta would refuse is refused with Meta's code and recorded as a fault.
func TestStrict(t *testing.T) {
	in := func(component string) string {
		return with(`{"name":"a","language":{"policy":"deterministic","code":"es"},"components":[` + component + `]}`)
	}
	value := func(p string) string { return in(`{"type":"body","parameters":[` + p + `]}`) }
	button := func(rest string) string { return in(`{"type":"button",` + rest + `}`) }
	for body, want := range map[string]int{
		textTo("34666000111", ""): -1, textTo("34666000111", `,"preview_url":true`): -1,
		textTo("34666000111", `,"preview_url":"1"`): 100, textTo("34666000111", `,"x":1`): 100, textTo("34666000111", `,"body":"hi"`): 100,
		textTo("+34666000111", ""): 131009, textTo("123456", ""): 131009, textTo("1234567890123456", ""): 131009, textTo("34666000111", "")[1:]: 100,
		textTo("34666000111", "") + "{}":                                                              100,
		strings.Replace(textTo("34666000111", ""), "hi", "", 1):                                       100,
		strings.Replace(textTo("34666000111", ""), `"k"`, `""`, 1):                                    131009,
		strings.Replace(textTo("34666000111", ""), "individual", "group", 1):                          100,
		strings.Replace(textTo("34666000111", ""), `"type":"text"`, `"type":"audio"`, 1):              131051,
		strings.Replace(textTo("34666000111", ""), `"messaging_product":"whatsapp",`, ``, 1):          131008,
		strings.Replace(textTo("34666000111", ""), "hi", "\xff", 1):                                   100,
		strings.Replace(textTo("34666000111", ""), "hi", strings.Repeat("x", 4097), 1):                100,
		with(`{"name":"a","language":{"policy":"deterministic","code":"es"}}`):                        -1,
		with(`{"name":"A","language":{"policy":"deterministic","code":"es"}}`):                        100,
		with(`{"name":"a","language":{"code":"es"}}`):                                                 131008,
		with(`{"name":"a","language":"es"}`):                                                          100,
		with(`{"name":"a","language":{"policy":"deterministic","code":"en-US"}}`):                     100,
		value(`{"type":"text","text":"x"}`):                                                           -1,
		value(`{"type":"text","text":"x","parameter_name":"a"}`):                                      -1,
		value(`{"type":"text","text":"x","parameter_name":"a"},{"type":"text","text":"x"}`):           100,
		value(`{"type":"text","text":"x","parameterName":"a"}`):                                       100,
		value(`{"type":"text","text":""}`):                                                            100,
		value(`{"type":"text","text":"a\nb"}`):                                                        132018,
		value(`{"type":"text","text":"a     b"}`):                                                     132018,
		value(`{"type":"image","image":{"id":"1"}}`):                                                  132012,
		value(`{"type":"currency","currency":{"fallback_value":"1","code":"EUR","amount_1000":1}}`):   -1,
		value(`{"type":"currency","currency":{"fallback_value":"1","code":"EUR","amount_1000":"1"}}`): 131009,
		value(``): 100,
		in(`{"type":"body","parameters":[{"type":"text","text":"x"}]},{"type":"body","parameters":[{"type":"text","text":"x"}]}`): 132012,
		in(`{"type":"footer","parameters":[]}`): 100,
		in(`{"type":"header","parameters":[{"type":"image","image":{"link":"https://x.example/a.png"}}]}`):     -1,
		in(`{"type":"header","parameters":[{"type":"image","image":{"link":"x"}}]}`):                           131009,
		in(`{"type":"header","parameters":[{"type":"location","location":{"latitude":"1","longitude":"2"}}]}`): -1,
		button(`"sub_type":"url","index":"0","parameters":[{"type":"text","text":"x"}]`):                       -1,
		button(`"sub_type":"url","index":0,"parameters":[{"type":"text","text":"x"}]`):                         100,
		button(`"subType":"url","index":"0","parameters":[{"type":"text","text":"x"}]`):                        131008,
		button(`"sub_type":"quickReply","index":"0"`):                                                          100,
		button(`"sub_type":"quick_reply","index":"0","parameters":[{"type":"text","text":"x"}]`):               132012,
		button(`"sub_type":"flow","index":"0","parameters":[{"type":"action","action":{"x":1}}]`):              -1,
	} {
		s := New(Options{})
		switch _, code := post(t, s, address, body, nil); {
		case code != want:
			t.Errorf("code = %v, want %v\n%s", code, want, body)
		case (len(s.Faults()) > 0) != (want >= 0):
			t.Errorf("len(s.Faults()) > 0 = %v, want %v\n%s", (len(s.Faults()) > 0), (want >= 0), body)
		}
	}
}

func TestAddress(t *testing.T) {
	good := textTo("34666000111", "")
	for name, x := range map[string]struct {
		path   string
		change func(*http.Request)
		code   int
	}{
		"another version": {"/v22.0/106540352242922/messages", nil, 100},
		"another number":  {"/v23.0/1/messages", nil, 100},
		"a query":         {address + "?access_token=x", nil, 100},
		"GET":             {address, func(r *http.Request) { r.Method = http.MethodGet }, 100},
		"no token":        {address, func(r *http.Request) { r.Header.Del("Authorization") }, 0},
		"an old token":    {address, func(r *http.Request) { r.Header.Set("Authorization", "Bearer old") }, 190},
		"a form":          {address, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 100},
		"no length":       {address, func(r *http.Request) { r.ContentLength = -1 }, 100},
	} {
		s := New(Options{})
		switch _, code := post(t, s, x.path, good, x.change); {
		case code != x.code:
			t.Errorf("%s: code = %v, want %v", name, code, x.code)
		case s.Count() != 0:
			t.Errorf("%s: s.Count() = %v, want 0", name, s.Count())
		}
	}
}

func TestKnowsAndLimits(t *testing.T) {
	s := New(Options{Templates: map[string]int{"a/es": 0}, Rate: 1000, Contact: 2, Keep: 1})
	if _, code := post(t, s, address, with(`{"name":"b","language":{"policy":"deterministic","code":"es"}}`), nil); code != 132001 {
		t.Errorf("a template there isn't: %d", code)
	}
	if _, code := post(t, s, address, with(`{"name":"a","language":{"policy":"deterministic","code":"es"},"components":[{"type":"body","parameters":[{"type":"text","text":"x"}]}]}`), nil); code != 132000 {
		t.Errorf("a value too many: %d", code)
	}
	for i, want := range []int{-1, -1, 131056} {
		if _, code := post(t, s, address, textTo("34666000111", ""), nil); code != want {
			t.Errorf("message %d to the same contact: %d, want %d", i, code, want)
		}
	}
	switch {
	case len(s.Messages()) != 1:
		t.Errorf("len(s.Messages()) = %v, want 1", len(s.Messages()))
	case s.Count() != 3:
		t.Errorf("s.Count() = %v, want 3", s.Count())
	case s.Accepted()["k"] != 2:
		t.Errorf("s.Accepted()[\"k\"] = %v, want 2", s.Accepted()["k"])
	}
	s = New(Options{Rate: 1})
	throttled := 0
	for range 5 {
		if _, code := post(t, s, address, textTo("34666000111", ""), nil); code == 130429 {
			throttled++
		}
	}
	if throttled < 2 {
		t.Errorf("%d of 5 messages in a second were throttled", throttled)
	}
	s.SetToken("new")
	if _, code := post(t, s, address, textTo("34666000111", ""), nil); code != 190 {
		t.Errorf("the old token: %d", code)
	}
}

// TestEveryCode: each documented code can be the answer, with its status.
func TestEveryCode(t *testing.T) {
	for _, d := range Codes() {
		s := New(Options{})
		s.Answers(func(Message) Answer {
			return Answer{Code: d.Code, Failed: true, RegainMinutes: 1, RetryAfter: "1", Transient: true, Subcode: 1}
		})
		switch status, code := post(t, s, address, textTo("34666000111", ""), nil); {
		case status != d.Status:
			t.Errorf("status = %v, want %v\n%+v", status, d.Status, d.Code)
		case code != d.Code:
			t.Errorf("code = %v, want %v", code, d.Code)
		}
	}
}

func TestSign(t *testing.T) {
	// RFC 4231, 4.3.
	if got, want := Sign("Jefe", []byte("what do ya want for nothing?")), "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"; got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	switch body := OptOut("1", "34666000111", "stop", time.Unix(1, 0)); {
	case !json.Valid(body):
		t.Error("no JSON: json.Valid(body) = false, want true")
	case !json.Valid(Notification("1", Status{Status: "failed", Code: 100})):
		t.Error("no JSON: json.Valid(Notification(\"1\", Status{Status: \"failed\", Code: 100})) = false, want true")
	}
}
