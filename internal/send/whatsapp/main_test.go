package whatsapp

import (
	"encoding/json"
	"io"
	"log"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"campaignd/internal/campaign"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token   = "secret-token"
	phoneID = "106540352242922"
)

// fake is a running fake of the API, and the driver for it.
type fake struct {
	*graphfake.Server
	url string
}

func newFake(t *testing.T, o graphfake.Options) *fake {
	t.Helper()
	s := graphfake.New(o)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return &fake{s, web.URL}
}

// driver returns a driver. change, if not nil, changes its options.
func driver(t *testing.T, url string, change func(*Options)) *Channel {
	t.Helper()
	o := Options{BaseURL: url, Version: defaultVersion, PhoneNumberID: phoneID, Token: token, Timeout: 10 * time.Second, Concurrency: 4}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

const welcome = `{"template":{"name":"welcome","language":"es","components":[{"type":"body","parameters":[{"type":"text","text":"{{name}}"}]}]}}`

// render compiles item and renders it with {{name}}.
func render(t testing.TB, c *Channel, item, name string) []byte {
	t.Helper()
	template, err := c.Compile(json.RawMessage(item), []string{"name"})
	if err != nil {
		t.Fatalf("compile %s: %v", item, err)
	}
	var rows campaign.Rows
	rows.Reset(0, 1)
	rows.Lines, rows.Channels = append(rows.Lines, 2), append(rows.Channels, 0)
	rows.Values[0].AppendString(name)
	return template.Append(nil, &rows, 0)
}

func newMessage(t testing.TB, c *Channel, item, contact string, attempt int) *send.Message {
	return &send.Message{Key: campaign.Key("20260102-000001", "0123abcd", 2, 1), SendingID: "20260102-000001", ApplicationID: 1, CampaignID: 7,
		ChannelType: "cloud_api", ContactCode: contact, Number: 1, Content: render(t, c, item, "Ann Example"), Attempt: attempt}
}

// attempt sends one message to contact.
func attempt(t testing.TB, c *Channel, item, contact string, n int) send.Result {
	t.Helper()
	results := make([]send.Result, 1)
	c.Send(t.Context(), []*send.Message{newMessage(t, c, item, contact, n)}, results)
	return results[0]
}

// newTLS returns the URL of a server with an untrusted certificate.
func newTLS(t *testing.T) string {
	t.Helper()
	web := httptest.NewUnstartedServer(graphfake.New(graphfake.Options{}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // it would log the client's handshake error
	web.StartTLS()
	t.Cleanup(web.Close)
	return web.URL
}
