package main

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/send/whatsapp/graphfake"
)

// TestWhatsAppMedia: a file of campaigns_dir is checked, shown, uploaded once for two sendings, and sent as it was when
// the drop was accepted; a bad one is refused before anything is sent.
func TestWhatsAppMedia(t *testing.T) {
	s := newWAShop(t)
	spring := graphfake.NewTemplate("spring", "es", "Hola {{1}}")
	spring.Components = append(spring.Components, map[string]any{"type": "HEADER", "format": "IMAGE"})
	s.fake.SetTemplates(spring)
	item := `{"id": 7, "applicationId": 1, "channelTypes": ["wa"], "messageContent": [{"template": {"name": "spring", "language": "es", "components": [
		{"type": "header", "parameters": [{"type": "image", "image": {"file": "spring.png"}}]},
		{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}}]}`
	s.write("campaigns/7.json", item)
	s.write("campaigns/spring.png", "<html>no image</html>")
	s.write("a.csv", "phone,name\n34666000111,Ada\n")
	s.write("a.layout.json", `{"contact": {"contactCode": "{{phone}}", "channelType": "wa"}, "customFields": {"name": "{{name}}"}}`)
	s.write("a.schedule.json", `{"campaignId": 7, "applicationId": 1}`)
	commands := map[string][]string{
		"check":            {"check", filepath.Join(s.dir, "a.csv"), filepath.Join(s.dir, "a.layout.json"), filepath.Join(s.dir, "a.schedule.json")},
		"campaign check":   {"campaign", "check", filepath.Join(s.dir, "campaigns/7.json")},
		"campaign preview": {"campaign", "preview", "7", filepath.Join(s.dir, "a.csv"), filepath.Join(s.dir, "a.layout.json")},
	}
	const why = `the file "spring.png" is text/html by its content; WhatsApp takes JPEG and PNG as an image`
	for name, args := range commands {
		var out bytes.Buffer
		if status := s.run(t.Context(), &out, args...); status != exitProblems {
			t.Errorf("%s of a bad file ends with %d", name, status)
		}
		wantText(t, name, strings.Join(strings.Fields(out.String()), " "), why)
	}
	s.start()
	wantText(t, "the report", s.drop("bad", 7, "34666000111,Ada\n"), why)

	var picture bytes.Buffer
	s.check(png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 4, 4))))
	s.write("campaigns/spring.png", picture.String())
	for name, args := range commands {
		var out bytes.Buffer
		if status := s.run(t.Context(), &out, args...); status != 0 {
			t.Errorf("%s ends with %d: %s", name, status, out.String())
		}
		wantText(t, name, out.String(), "image spring.png")
	}
	// An outage of uploads delays and costs nothing; meanwhile the file goes away.
	s.fake.AnswerUploads(func(graphfake.Upload) graphfake.Answer { return graphfake.Answer{Code: 80007, RetryAfter: "1"} })
	s.write("in/first.layout.json", `{"contact": {"contactCode": "{{phone}}", "channelType": "wa"}, "customFields": {"name": "{{name}}"}}`)
	s.write("in/first.csv", "phone,name\n34666000111,Ada\n34666000222,Grace\n")
	s.write("in/first.schedule.json", `{"campaignId": 7}`)
	s.until("the sending waits and says why", func() bool {
		found, _ := filepath.Glob(filepath.Join(s.dir, "in", "accepted", "first.*", "status.json"))
		if len(found) == 0 {
			return false
		}
		data, _ := os.ReadFile(found[0])
		return strings.Contains(string(data), `the file \"spring.png\" can't be uploaded: the WhatsApp business account makes too many calls`)
	})
	s.check(os.Remove(filepath.Join(s.dir, "campaigns/spring.png")))
	s.fake.AnswerUploads(nil)
	wantText(t, "the report", s.file("first", "report.txt"), "both messages were sent")
	s.write("campaigns/spring.png", picture.String())
	s.drop("second", 7, "34666000333,Edith\n")
	if got := s.fake.Uploads(); len(got) != 1 || got[0].Name != "spring.png" {
		t.Errorf("uploads %+v, want one", got)
	}
	for _, m := range s.fake.Messages() {
		if !bytes.Contains(m.Content, []byte(`"image":{"id":"media-1"}`)) {
			t.Errorf("Meta got %s, want the id of the upload", m.Content)
		}
	}
	switch got := s.got(); {
	case len(got) != 3:
		t.Errorf("len(got) = %v, want 3: %+v", len(got), got)
	case got["34666000111"] != 1:
		t.Errorf("got[\"34666000111\"] = %v, want 1", got["34666000111"])
	}
	var out bytes.Buffer
	if status := s.run(t.Context(), &out, "send-test", "--application", "1", "--channel", "wa", "--campaign", "7", "--to", "34666000444", "--var", "name=Ann"); status != 0 {
		t.Errorf("send-test ends with %d: %s", status, out.String())
	}
	if got := s.fake.Uploads(); len(got) != 1 {
		t.Errorf("%d uploads after send-test, want the same one", len(got))
	}
	if faults := s.fake.Faults(); len(faults) > 0 {
		t.Errorf("Meta finds faults: %q", faults)
	}
}
