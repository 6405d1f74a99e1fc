package whatsapp

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send"
)

var _ send.Previewer = (*Channel)(nil)

// A preview has the template's own text, which only Meta knows, once a copy of it is there.
func TestPreviewShowsTheTemplatesText(t *testing.T) {
	records := memoryRecords{}
	_, c := account(t, records)
	welcome, err := normalize(templateItem("welcome", "es", `{"type": "body", "parameters": [{"type": "text", "text": "Ada"}, {"type": "date_time", "date_time": {"fallback_value": "lunes"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Preview(welcome); got != nil {
		t.Errorf("before the templates are known: %q, want nil", got)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	offer, err := normalize(templateItem("offer", "en_US", imageHeader, offerBody, button))
	if err != nil {
		t.Fatal(err)
	}
	for name, x := range map[string]struct {
		content []byte
		want    []string
	}{
		"numbered":  {welcome, []string{"Template welcome (es)", "Hola Ada, hasta el lunes. Ada"}},
		"named":     {offer, []string{"Template offer (en_US)", "[image https://shop.example/a.jpg]", "Hello {{name}}, 5 off", "[Stop]", "[See: https://shop.example/a]"}},
		"unknown":   {[]byte(`{"type": "template", "template": {"name": "none", "language": {"code": "es"}}}`), nil},
		"free text": {[]byte(`{"type": "text", "text": {"body": "hi"}}`), nil},
		"no JSON":   {[]byte(`{`), nil},
	} {
		if diff := cmp.Diff(x.want, c.Preview(x.content)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	_, restarted := account(t, records)
	restarted.templates.load()
	if got := restarted.Preview(welcome); len(got) != 2 {
		t.Errorf("after a restart: %q", got)
	}
}
