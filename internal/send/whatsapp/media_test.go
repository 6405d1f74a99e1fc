package whatsapp

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"campaignd/internal/campaign"
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

func jpegImage(t testing.TB, shade uint8) []byte {
	t.Helper()
	m := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for i := range m.Pix {
		m.Pix[i] = shade
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngImage(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func archiveOf(t testing.TB, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if _, err := w.Create(name); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mediaDriver returns a driver with the files, and the fake that it talks to.
func mediaDriver(t *testing.T, files *campaignFiles, records Records) (*fake, *Channel) {
	t.Helper()
	f := newFake(t, graphfake.Options{})
	return f, driver(t, f.url, func(o *Options) { o.Files, o.Records = files, records })
}

func mp4(brand string) []byte {
	return append([]byte("\x00\x00\x00\x18ftyp"+brand), make([]byte, 20)...)
}

// Meta refuses such files after the upload, or the phones can't show them.
func TestFileThatMetaWouldRefuse(t *testing.T) {
	files := newCampaignFiles(t)
	_, c := mediaDriver(t, files, nil)
	files.write("spring.jpg", jpegImage(t, 1))
	files.write("really-a-jpeg.png", jpegImage(t, 1))
	files.write("deep.png", pngImage(t, image.NewRGBA64(image.Rect(0, 0, 2, 2))))
	files.write("flat.png", pngImage(t, image.NewPaletted(image.Rect(0, 0, 2, 2), color.Palette{color.Black, color.White})))
	files.write("fake.jpg", []byte("\xff\xd8\xff no image"))
	files.write("page.jpg", []byte("<html><body>404</body></html>"))
	files.write("anim.jpg", []byte("GIF89a..........."))
	files.write("empty.jpg", nil)
	files.write("large.jpg", append(jpegImage(t, 1), make([]byte, 5<<20)...))
	files.write("clip.mp4", mp4("isom"))
	files.write("clip.3gp", mp4("3gp5"))
	files.write("clip.mov", mp4("qt  "))
	files.write("large.mp4", append(mp4("isom"), make([]byte, 16<<20)...))
	files.write("terms.pdf", []byte("%PDF-1.7\n..."))
	files.write("terms.docx", archiveOf(t, "word/document.xml"))
	files.write("prices.xlsx", archiveOf(t, "word/document.xml"))
	files.write("terms.zip", archiveOf(t, "word/document.xml"))
	files.write("old.doc", []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1...."))
	files.write("note.txt", []byte("Hello\n"))
	files.write("note.exe", []byte("MZ\x00\x00\x00"))
	files.write(".hidden.jpg", jpegImage(t, 1))
	outside := filepath.Join(t.TempDir(), "secret.jpg")
	if err := os.WriteFile(outside, jpegImage(t, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(files.dir, "link.jpg")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(files.dir, "folder.jpg"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ kind, name, want string }{
		{"image", "spring.jpg", "image/jpeg"},
		{"image", "really-a-jpeg.png", "image/jpeg"},
		{"image", "flat.png", "image/png"},
		{"video", "clip.mp4", "video/mp4"},
		{"video", "clip.3gp", "video/3gpp"},
		{"document", "terms.pdf", "application/pdf"},
		{"document", "terms.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"document", "old.doc", "application/msword"},
		{"document", "note.txt", "text/plain"},
		{"image", "deep.png", `the file "deep.png" has 16 bits a color`},
		{"image", "fake.jpg", `is no readable image`},
		{"image", "page.jpg", `is text/html by its content; WhatsApp takes JPEG and PNG as an image`},
		{"image", "anim.jpg", `is image/gif by its content`},
		{"image", "empty.jpg", `is empty`},
		{"image", "large.jpg", `bytes; WhatsApp takes an image of up to 5,242,880 (5 MiB)`},
		{"image", "clip.mp4", `is video/mp4 by its content`},
		{"video", "clip.mov", `is video/quicktime by its content; WhatsApp takes MP4 and 3GP as a video`},
		{"video", "large.mp4", `takes a video of up to 16,777,216 (16 MiB)`},
		{"video", "spring.jpg", `is image/jpeg by its content`},
		{"document", "prices.xlsx", `is no .xlsx file by its content`},
		{"document", "terms.zip", `is application/zip by its content and ".zip" by its name`},
		{"document", "note.exe", `WhatsApp takes .pdf, .txt, .doc`},
		{"image", "link.jpg", `is a link or not a regular file`},
		{"image", "folder.jpg", `is a link or not a regular file`},
		{"image", ".hidden.jpg", `begins with a dot`},
		{"image", "none.jpg", `is not in campaigns_dir`},
		{"image", outside, `must be a name without a folder`},
		{"image", "../spring.jpg", `must be a name without a folder`},
		{"image", "..", `begins with a dot`},
	} {
		item, err := json.Marshal(map[string]any{x.kind: map[string]any{"file": x.name}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Media(item)
		switch {
		case strings.Contains(x.want, "/") && !strings.Contains(x.want, " "): // a type
			switch {
			case err != nil:
				t.Error(err)
			case len(got) != 1:
				t.Errorf("len(got): got %v, want 1: %+v", len(got), got)
			case got[0].Type != x.want:
				t.Errorf("got[0].Type: got %v, want %v", got[0].Type, x.want)
			case got[0].Name != x.name:
				t.Errorf("got[0].Name: got %v, want %v", got[0].Name, x.name)
			case len(got[0].SHA256) != 64:
				t.Errorf("len(got[0].SHA256): got %v, want 64: %+v", len(got[0].SHA256), got[0].SHA256)
			case got[0].Size == 0:
				t.Error("got[0].Size: got 0")
			}
		case err == nil || !strings.Contains(err.Error(), x.want):
			t.Errorf("%s %s: got %v, want %q", x.kind, x.name, err, x.want)
		}
	}
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

func TestFileItemsThatAreWrong(t *testing.T) {
	c := driver(t, "", nil)
	for item, want := range map[string]string{
		`{"image": {"file": "{{name}}.jpg"}}`:                                       `image.file: can't contain a variable`,
		`{"image": {"file": "a.jpg", "link": "https://x.example/a.jpg"}}`:           `image: needs one of "file"`,
		`{"image": {"caption": "x"}}`:                                               `image: needs one of "file"`,
		`{"image": {"file": "a.jpg", "filename": "b.jpg"}}`:                         `image.filename: is not a valid key here`,
		`{"image": {"file": 5}}`:                                                    `image.file: found the number 5`,
		`{"image": "a.jpg"}`:                                                        `image: found "a.jpg" where an object belongs`,
		`{"image": {"file": "a.jpg"}, "body": "x"}`:                                 `contains more than one message`,
		`{"video": {"link": "ftp://x.example/a"}}`:                                  `video.link: found "ftp://x.example/a"`,
		`{"document": {"id": "1", "caption": "` + strings.Repeat("x", 1025) + `"}}`: `document.caption: has 1025 characters; a caption may have 1024`,
	} {
		if _, err := c.Compile(json.RawMessage(item), []string{"name"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", item, err, want)
		}
	}
}

func TestRowsOfFileItems(t *testing.T) {
	c := driver(t, "", nil)
	item := `{"document": {"link": "https://x.example/{{name}}", "filename": "{{name}}.pdf", "caption": "{{name}}"}}`
	for value, want := range map[string]string{
		"a":                       "",
		"":                        "document: its caption is empty",
		"a b":                     "document: the link is not a valid address",
		strings.Repeat("é", 1025): "document: its caption has 1025 characters",
		`"quoted"`:                "document: the link is not a valid address",
	} {
		err := c.CheckMessage([]byte("34666000111"), render(t, c, item, value))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q: got %v, want %q", value, err, want)
		}
	}
	f := newFake(t, graphfake.Options{})
	c = driver(t, f.url, nil)
	if res := attempt(t, c, `{"type": "video", "video": {"link": "https://x.example/v", "caption": "See {{name}}"}}`, "34666000111", 1); res.Verdict != send.VerdictSent {
		t.Errorf("result %+v; faults %v", res, f.Faults())
	}
}
