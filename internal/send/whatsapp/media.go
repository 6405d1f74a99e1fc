package whatsapp

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
)

// Kinds of media: types of a parameter and of a whole message.
const (
	kindImage    = "image"
	kindVideo    = "video"
	kindDocument = "document"
)

// keyFile names a file of campaigns_dir, in place of link and id.
const keyFile = "file"

func mediaKinds() []string { return []string{kindImage, kindVideo, kindDocument} }

// Media types that Meta takes (docs/channels.md has the sources).
const (
	typeJPEG = "image/jpeg"
	typePNG  = "image/png"
	typeMP4  = "video/mp4"
	type3GPP = "video/3gpp"
	typePDF  = "application/pdf"
	typeText = "text/plain"
)

// maxMediaSize returns the most bytes that a file of a kind may have.
func maxMediaSize(kind string) int64 {
	switch kind {
	case kindImage:
		return 5 << 20
	case kindVideo:
		return 16 << 20
	}
	return 100 << 20
}

// media returns the object of a message that is one file of the kind.
func (m *message) media(kind string) *map[string]any {
	switch kind {
	case kindImage:
		return &m.Image
	case kindVideo:
		return &m.Video
	}
	return &m.Document
}

// mediaOf returns the kind of a content that is one file, or "".
func mediaOf(content []byte) string {
	rest, ok := bytes.CutPrefix(content, []byte(`{"type":"`))
	if !ok {
		return ""
	}
	for _, kind := range mediaKinds() {
		if after, ok := bytes.CutPrefix(rest, []byte(kind)); ok && bytes.HasPrefix(after, []byte(`","`+kind+`":{`)) {
			return kind
		}
	}
	return ""
}

// eachFile calls f with the kind and the object of everything in the message that names a file.
func (m *message) eachFile(f func(kind string, o map[string]any) error) error {
	visit := func(kind string, v any) error {
		o, _ := v.(map[string]any)
		if _, named := o[keyFile].(string); named {
			return f(kind, o)
		}
		return nil
	}
	for _, kind := range mediaKinds() {
		if err := visit(kind, *m.media(kind)); err != nil {
			return err
		}
	}
	if m.Template == nil {
		return nil
	}
	for _, c := range m.Template.Components {
		for _, p := range c.Parameters {
			for _, kind := range mediaKinds() {
				if err := visit(kind, p[kind]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// readMessage returns an item in Meta's form.
func readMessage(item json.RawMessage) (*message, error) {
	canonical, err := normalize(item)
	if err != nil {
		return nil, err
	}
	m := &message{}
	dec := json.NewDecoder(bytes.NewReader(canonical))
	dec.UseNumber()
	if err := dec.Decode(m); err != nil {
		return nil, fmt.Errorf("read message content: %w", err)
	}
	return m, nil
}

// Media implements send.MediaChannel.
func (c *Channel) Media(item json.RawMessage) ([]campaign.MediaFile, error) {
	m, err := readMessage(item)
	if err != nil {
		return nil, err
	}
	var list []campaign.MediaFile
	err = m.eachFile(func(kind string, o map[string]any) error {
		name := o[keyFile].(string)
		one, err := c.uploads.inspect(kind, name)
		if err != nil {
			return fmt.Errorf("the file %q %w", name, err)
		}
		if !slices.Contains(list, one) {
			list = append(list, one)
		}
		return nil
	})
	if err == nil && len(list) > 0 && c.tokens.get() == "" {
		return nil, fmt.Errorf("the file %q can't be uploaded: %w", list[0].Name, errNoToken)
	}
	return list, err
}

// inspect checks a file of campaigns_dir. The error continues "the file NAME".
func (u *uploads) inspect(kind, name string) (campaign.MediaFile, error) {
	m := campaign.MediaFile{Name: name}
	if u.files == nil {
		return m, errors.New("can't be read here: use link or id")
	}
	file, size, err := u.files.Open(name)
	if err != nil {
		return m, err
	}
	defer file.Close()
	switch most := maxMediaSize(kind); {
	case size == 0:
		return m, errors.New("is empty")
	case size > most:
		return m, fmt.Errorf("has %s bytes; WhatsApp takes %s of up to %s (%d MiB)", display.Number(size), article(kind), display.Number(most), most>>20)
	}
	if m.Type, err = typeOf(kind, name, file, size); err != nil {
		return m, err
	}
	m.Size = size
	if m.SHA256, err = u.files.Hash(file); err != nil {
		return m, fmt.Errorf("can't be read: %w", err)
	}
	return m, nil
}

// typeOf returns the media type of a file by its content, if Meta takes it as that kind.
func typeOf(kind, name string, file io.ReaderAt, size int64) (string, error) {
	head := make([]byte, min(size, 512))
	if _, err := file.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("can't be read: %w", err)
	}
	found := contentType(head)
	switch {
	case kind == kindImage && (found == typeJPEG || found == typePNG):
		return found, checkImage(found, io.NewSectionReader(file, 0, size))
	case kind == kindVideo && (found == typeMP4 || found == type3GPP):
		return found, nil
	case kind == kindDocument:
		return documentType(found, name, head, file, size)
	}
	takes := map[string]string{kindImage: "JPEG and PNG", kindVideo: "MP4 and 3GP"}[kind]
	return "", fmt.Errorf("is %s by its content; WhatsApp takes %s as %s", found, takes, article(kind))
}

// contentType returns the media type of a file that begins with head.
func contentType(head []byte) string {
	if len(head) >= 12 && string(head[4:8]) == "ftyp" {
		switch brand := string(head[8:12]); {
		case strings.HasPrefix(brand, "3g"):
			return type3GPP
		case brand == "qt  ":
			return "video/quicktime"
		case strings.HasPrefix(brand, "M4A"):
			return "audio/mp4"
		case brand == "heic", brand == "heix", brand == "mif1", brand == "avif":
			return "image/" + strings.TrimSpace(brand)
		}
		return typeMP4
	}
	kind, _, _ := strings.Cut(http.DetectContentType(head), ";")
	return kind
}

// checkImage refuses what Meta's phones can't show: other than 8 bits, RGB or RGBA.
func checkImage(kind string, r io.Reader) error {
	decode := jpeg.DecodeConfig
	if kind == typePNG {
		decode = png.DecodeConfig
	}
	c, err := decode(r)
	switch {
	case err != nil:
		return fmt.Errorf("is no readable image: %w", err)
	case c.ColorModel == color.CMYKModel:
		return errors.New("has CMYK colors, for print; WhatsApp takes RGB")
	case c.ColorModel == color.RGBA64Model || c.ColorModel == color.NRGBA64Model || c.ColorModel == color.Gray16Model:
		return errors.New("has 16 bits a color; WhatsApp takes 8")
	}
	return nil
}

// office has, by extension, the type of an Office document, and the folder in a newer one's archive.
func office(extension string) (mediaType, folder string) {
	switch extension {
	case ".doc":
		return "application/msword", ""
	case ".xls":
		return "application/vnd.ms-excel", ""
	case ".ppt":
		return "application/vnd.ms-powerpoint", ""
	case ".docx":
		return "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "word/"
	case ".xlsx":
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xl/"
	case ".pptx":
		return "application/vnd.openxmlformats-officedocument.presentationml.presentation", "ppt/"
	}
	return "", ""
}

// documentType returns the type of a document. The kinds of Office documents share a container, so
// the name's extension says which one it is, and the content must agree.
func documentType(found, name string, head []byte, file io.ReaderAt, size int64) (string, error) {
	extension := strings.ToLower(path.Ext(name))
	known, folder := office(extension)
	switch {
	case found == typePDF:
		return typePDF, nil
	case found == typeText && extension == ".txt":
		return typeText, nil
	case known != "" && folder == "" && bytes.HasPrefix(head, []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
		return known, nil
	case known != "" && folder != "" && hasFolder(file, size, folder):
		return known, nil
	case known != "":
		return "", fmt.Errorf("is no %s file by its content (%s)", extension, found)
	}
	return "", fmt.Errorf("is %s by its content and %q by its name; WhatsApp takes .pdf, .txt, .doc, .docx, .xls, .xlsx, .ppt and .pptx as a document", found, extension)
}

// hasFolder reports whether a zip archive has a file in a folder.
func hasFolder(file io.ReaderAt, size int64, folder string) bool {
	z, err := zip.NewReader(file, size)
	return err == nil && slices.ContainsFunc(z.File, func(f *zip.File) bool { return strings.HasPrefix(f.Name, folder) })
}
