package whatsapp

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/send"
	"campaignd/internal/send/whatsapp/graphfake"
)

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
		"a":                       "<nil>",
		"":                        "document: its caption is empty",
		"a b":                     "document: the link is not a valid address",
		strings.Repeat("é", 1025): "document: its caption has 1025 characters",
		`"quoted"`:                "document: the link is not a valid address",
	} {
		err := c.CheckMessage([]byte("34666000111"), render(t, c, item, value))
		if got := fmt.Sprint(err); !strings.Contains(got, want) {
			t.Errorf("%.20q: got %s, want %q in it", value, got, want)
		}
	}
	f := newFake(t, graphfake.Options{})
	c = driver(t, f.url, nil)
	if res := attempt(t, c, `{"type": "video", "video": {"link": "https://x.example/v", "caption": "See {{name}}"}}`, "34666000111", 1); res.Verdict != send.VerdictSent {
		t.Errorf("result %+v; faults %v", res, f.Faults())
	}
}
