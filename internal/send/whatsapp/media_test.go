package whatsapp

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/media"
	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

// campaignFiles is a campaigns_dir with files and a state folder for their copies.
type campaignFiles struct {
	*media.Files
	t   *testing.T
	dir string
}

func newCampaignFiles(t *testing.T) *campaignFiles {
	dir := t.TempDir()
	return &campaignFiles{media.New(func() string { return dir }, filepath.Join(t.TempDir(), "media")), t, dir}
}

func (f *campaignFiles) write(name string, content []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), content, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// mediaDriver returns a driver with the files, and the fake that it talks to.
func mediaDriver(t *testing.T, files *campaignFiles, records config.Records) (*fake, *Channel) {
	t.Helper()
	f := newFake(t, graphfake.Options{})
	return f, driver(t, f.url, func(o *Options) { o.Files, o.Records = files, records })
}

const headerItem = `{"template": {"name": "spring", "language": "es", "components": [{"type": "header", "parameters": [{"type": "image", "image": {"file": "spring.jpg"}}]}]}}`

// accept returns what a sending keeps of an item's files.
func accept(t *testing.T, files *campaignFiles, c *Channel, item string) []campaign.MediaFile {
	t.Helper()
	list, err := c.Media(json.RawMessage(item))
	if err != nil {
		t.Fatal(err)
	}
	if err := files.Keep(list); err != nil {
		t.Fatal(err)
	}
	return list
}

// prepare returns the item that is sent.
func prepare(t *testing.T, c *Channel, item string, list []campaign.MediaFile) string {
	t.Helper()
	out, err := c.Prepare(t.Context(), json.RawMessage(item), list)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestFileIsUploadedOncePerNumber(t *testing.T) {
	files, records := newCampaignFiles(t), memoryRecords{}
	content := jpegImage(t, 7)
	files.write("spring.jpg", content)
	files.write("copy-of-spring.jpg", content)
	f, c := mediaDriver(t, files, records)
	list := accept(t, files, c, headerItem)
	first := prepare(t, c, headerItem, list)
	second := `{"image": {"file": "copy-of-spring.jpg", "caption": "Hi {{name}}"}}`
	again := prepare(t, c, second, accept(t, files, c, second))
	if err := c.CheckMessage([]byte("34666000111"), render(t, c, first, "Ada")); err != nil {
		t.Error(err)
	}
	for _, item := range []string{first, again} {
		if !strings.Contains(item, `"id":"media-1"`) || strings.Contains(item, "file") {
			t.Errorf("prepared %s; want the id of the only upload", item)
		}
		if res := attempt(t, c, item, "34666000111", 1); res.Verdict != send.VerdictSent {
			t.Errorf("verdict %+v", res)
		}
	}
	// After a restart and on another channel of the number, the record is used.
	other := driver(t, f.url, func(o *Options) { o.Files, o.Records = files, records })
	prepare(t, other, headerItem, list)
	switch got := f.Uploads(); {
	case len(got) != 1:
		t.Errorf("len(got): got %v, want 1: %+v", len(got), got)
	case got[0].SHA256 != list[0].SHA256:
		t.Errorf("got[0].SHA256: got %v, want %v", got[0].SHA256, list[0].SHA256)
	case got[0].Name != "spring.jpg":
		t.Errorf(`got[0].Name: got %q, want "spring.jpg"`, got[0].Name)
	case got[0].Type != "image/jpeg":
		t.Errorf(`got[0].Type: got %q, want "image/jpeg"`, got[0].Type)
	}
	if faults := f.Faults(); len(faults) > 0 {
		t.Errorf("faults: %v", faults)
	}
}

func TestOldUploadIsRenewed(t *testing.T) {
	files, records := newCampaignFiles(t), memoryRecords{}
	files.write("spring.jpg", jpegImage(t, 7))
	f, c := mediaDriver(t, files, records)
	list := accept(t, files, c, headerItem)
	prepare(t, c, headerItem, list)
	for _, x := range []struct {
		age  time.Duration
		want int // uploads afterwards
	}{{13 * 24 * time.Hour, 1}, {15 * 24 * time.Hour, 2}} {
		age(t, records, x.age)
		prepare(t, c, headerItem, list)
		if got := len(f.Uploads()); got != x.want {
			t.Errorf("after %v: %d uploads, want %d", x.age, got, x.want)
		}
	}
}

// age makes all uploads of the record older.
func age(t *testing.T, records memoryRecords, by time.Duration) {
	t.Helper()
	name := "whatsapp/media/" + phoneID
	known := map[string]uploaded{}
	if err := json.Unmarshal(records[name], &known); err != nil {
		t.Fatal(err)
	}
	for sum, one := range known {
		known[sum] = uploaded{one.ID, time.Now().Add(-by).Unix()}
	}
	value, err := json.Marshal(known)
	if err != nil {
		t.Fatal(err)
	}
	records[name] = value
}

func TestSendingSendsTheFileItWasAcceptedWith(t *testing.T) {
	files := newCampaignFiles(t)
	files.write("spring.jpg", jpegImage(t, 7))
	f, c := mediaDriver(t, files, memoryRecords{})
	list := accept(t, files, c, headerItem)
	files.write("spring.jpg", jpegImage(t, 200)) // the next campaign's
	prepare(t, c, headerItem, list)
	later := accept(t, files, c, headerItem)
	if err := os.Remove(filepath.Join(files.dir, "spring.jpg")); err != nil {
		t.Fatal(err)
	}
	prepare(t, c, headerItem, later)
	got := f.Uploads()
	switch {
	case len(got) != 2:
		t.Errorf("len(got): got %v, want 2: %+v", len(got), got)
	case got[0].SHA256 != list[0].SHA256:
		t.Errorf("got[0].SHA256: got %v, want %v", got[0].SHA256, list[0].SHA256)
	case got[1].SHA256 != later[0].SHA256:
		t.Errorf("got[1].SHA256: got %v, want %v", got[1].SHA256, later[0].SHA256)
	case list[0].SHA256 == later[0].SHA256:
		t.Errorf("list[0].SHA256: got %v, want another", list[0].SHA256)
	}
}

func TestLostCopyIsTakenFromTheCampaignsFolderIfItIsTheSame(t *testing.T) {
	files := newCampaignFiles(t)
	files.write("spring.jpg", jpegImage(t, 7))
	_, c := mediaDriver(t, files, nil)
	list, err := c.Media(json.RawMessage(headerItem)) // nothing is copied, as after a restore
	if err != nil {
		t.Fatal(err)
	}
	prepare(t, c, headerItem, list)
	files.write("spring.jpg", jpegImage(t, 200))
	_, err = c.Prepare(t.Context(), json.RawMessage(headerItem), list)
	why, ok := errors.AsType[*send.NotPrepared](err)
	switch {
	case !ok:
		t.Error("ok: got false, want true")
	case !why.Hold:
		t.Error("why.Hold: got false, want true")
	case !strings.Contains(why.Reason, `the file "spring.jpg" can't be uploaded`):
		t.Errorf("why.Reason: got %q, want %q in it", why.Reason, `the file "spring.jpg" can't be uploaded`)
	case !strings.Contains(why.Reason, "is not there any more as it was when the drop was accepted"):
		t.Errorf(`why.Reason: got %q, want "is not there any more as it was when the drop was accepted" in it`, why.Reason)
	}
}

func TestFailedUploads(t *testing.T) {
	files := newCampaignFiles(t)
	files.write("spring.jpg", jpegImage(t, 7))
	for name, x := range map[string]struct {
		answer graphfake.Answer
		hold   bool
		wait   time.Duration
		want   string
	}{
		"throttled":     {graphfake.Answer{Code: 80007, RetryAfter: "90"}, false, 90 * time.Second, "makes too many calls"},
		"unavailable":   {graphfake.Answer{Code: 131016}, false, 0, "was not available"},
		"no permission": {graphfake.Answer{Code: 10}, true, 0, "the token lacks the permission whatsapp_business_messaging"},
		"wrong number":  {graphfake.Answer{Code: 100, Subcode: 33}, true, 0, "WhatsApp doesn't know phone_number_id"},
		"revoked token": {graphfake.Answer{Code: 190}, true, 0, "token_file"},
		"refused file":  {graphfake.Answer{Code: 131053}, true, 0, "WhatsApp can't use the message's file"},
		"a proxy's 502": {graphfake.Answer{Status: 502, Raw: "<html>"}, false, 0, "HTTP 502"},
		"cut":           {graphfake.Answer{Cut: graphfake.Reset}, false, 0, "can't be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			f, c := mediaDriver(t, files, memoryRecords{})
			list := accept(t, files, c, headerItem)
			f.AnswerUploads(func(graphfake.Upload) graphfake.Answer { return x.answer })
			_, err := c.Prepare(t.Context(), json.RawMessage(headerItem), list)
			why, ok := errors.AsType[*send.NotPrepared](err)
			if !ok {
				t.Fatalf("got %v, want a NotPrepared", err)
			}
			if why.Hold != x.hold {
				t.Errorf("hold %v, want %v", why.Hold, x.hold)
			}
			if why.RetryAfter != x.wait {
				t.Errorf("wait %v, want %v", why.RetryAfter, x.wait)
			}
			if !strings.Contains(why.Reason, x.want) || strings.Contains(why.Reason, token) {
				t.Errorf("reason %q, want %q in it", why.Reason, x.want)
			}
			f.AnswerUploads(nil)
			prepare(t, c, headerItem, list)
		})
	}
}

func TestUploadEndsWithItsContext(t *testing.T) {
	files := newCampaignFiles(t)
	files.write("spring.jpg", jpegImage(t, 7))
	f, c := mediaDriver(t, files, memoryRecords{})
	list := accept(t, files, c, headerItem)
	ctx, cancel := context.WithCancel(t.Context())
	f.AnswerUploads(func(graphfake.Upload) graphfake.Answer {
		cancel()
		return graphfake.Answer{Delay: time.Minute}
	})
	if _, err := c.Prepare(ctx, json.RawMessage(headerItem), list); err == nil {
		t.Error("prepared after the context had ended")
	}
}

// Messages in flight are refused side by side, and none of them may fail.
func TestLostUploadCostsNoMessage(t *testing.T) {
	files, records := newCampaignFiles(t), memoryRecords{}
	files.write("spring.jpg", jpegImage(t, 7))
	f, c := mediaDriver(t, files, records)
	list := accept(t, files, c, headerItem)
	item := prepare(t, c, headerItem, list)
	age(t, records, 2*time.Hour)
	f.LoseUploads()
	var wg sync.WaitGroup
	results := make([]send.Result, 8)
	for i := range results {
		m := newMessage(t, c, item, "3466600010"+string(rune('0'+i)), 1)
		wg.Go(func() { c.Send(t.Context(), []*send.Message{m}, results[i:i+1]) })
	}
	wg.Wait()
	for _, res := range results {
		if res.Verdict != send.VerdictHold || res.Hold != send.HoldSending || res.RetryAfter > time.Minute {
			t.Errorf("result %+v; want a short hold of the sending", res)
		}
	}
	item = prepare(t, c, headerItem, list)
	if res := attempt(t, c, item, "34666000111", 1); res.Verdict != send.VerdictSent {
		t.Errorf("result %+v with %s; want sent with the new upload", res, item)
	}
	// A new upload that is refused as well isn't repeated for ever.
	f.LoseUploads()
	if res := attempt(t, c, item, "34666000112", 1); res.Verdict != send.VerdictPermanent {
		t.Errorf("result %+v; want permanent", res)
	}
}

// A hub whose workers send uploads the files itself: without the token it could promise nothing.
func TestFileNeedsTheTokenOnTheHub(t *testing.T) {
	files := newCampaignFiles(t)
	files.write("spring.jpg", jpegImage(t, 1))
	token := ""
	f := newFake(t, graphfake.Options{})
	c := driver(t, f.url, func(o *Options) {
		o.Files, o.Token, o.ReadToken = files, "", func() (string, error) { return token, nil }
	})
	if _, err := c.Media(json.RawMessage(`{"body": "Hello"}`)); err != nil {
		t.Errorf("an item without files: %v", err)
	}
	if _, err := c.Media(json.RawMessage(headerItem)); !errors.Is(err, errNoToken) {
		t.Errorf("without the token the error is %v, want errNoToken", err)
	}
	token = "t"
	if list, err := c.Media(json.RawMessage(headerItem)); err != nil || len(list) != 1 {
		t.Errorf("with the token: got %v, %v, want one file", list, err)
	}
}
