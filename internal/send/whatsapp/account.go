package whatsapp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// AccountTemplate is a template of a business account as Meta has it.
type AccountTemplate struct {
	Name     string          `json:"name"`
	Language string          `json:"language"`
	Status   string          `json:"status"` // approved is "APPROVED"
	Category string          `json:"category"`
	Named    bool            `json:"named,omitempty"`  // its parameters have names instead of numbers
	Header   string          `json:"header,omitempty"` // TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION; "": none
	InHeader []string        `json:"inHeader,omitempty"`
	InBody   []string        `json:"inBody,omitempty"` // names or numbers of the parameters, each once
	Buttons  []AccountButton `json:"buttons,omitempty"`

	// The template's own text, with its {{parameters}}.
	HeaderText string `json:"headerText,omitempty"`
	BodyText   string `json:"bodyText,omitempty"` // "" in copies of older releases
	FooterText string `json:"footerText,omitempty"`
}

// AccountButton is a button of an AccountTemplate.
type AccountButton struct {
	Type    string `json:"type"`              // QUICK_REPLY, URL, COPY_CODE, PHONE_NUMBER, FLOW ...
	Dynamic bool   `json:"dynamic,omitempty"` // its URL has a parameter
	Text    string `json:"text,omitempty"`
	URL     string `json:"url,omitempty"`
}

const (
	statusApproved = "APPROVED"
	formatText     = "TEXT"
)

// graphTemplate is a template in Meta's answer.
type graphTemplate struct {
	Name       string `json:"name"`
	Language   string `json:"language"`
	Status     string `json:"status"`
	Category   string `json:"category"`
	Format     string `json:"parameter_format"`
	Components []struct {
		Type    string `json:"type"`
		Format  string `json:"format"`
		Text    string `json:"text"`
		Buttons []struct {
			Type string `json:"type"`
			Text string `json:"text"`
			URL  string `json:"url"`
		} `json:"buttons"`
	} `json:"components"`
}

// account returns what the driver uses of a template.
func (g *graphTemplate) account() AccountTemplate {
	t := AccountTemplate{Name: g.Name, Language: g.Language, Status: strings.ToUpper(g.Status), Category: g.Category, Named: strings.EqualFold(g.Format, "NAMED")}
	for _, c := range g.Components {
		switch strings.ToUpper(c.Type) {
		case "HEADER":
			t.Header, t.InHeader, t.HeaderText = strings.ToUpper(c.Format), placeholders(c.Text), c.Text
		case "BODY":
			t.InBody, t.BodyText = placeholders(c.Text), c.Text
		case "FOOTER":
			t.FooterText = c.Text
		case "BUTTONS":
			for _, b := range c.Buttons {
				t.Buttons = append(t.Buttons, AccountButton{Type: strings.ToUpper(b.Type), Dynamic: strings.Contains(b.URL, "{{"), Text: b.Text, URL: b.URL})
			}
		}
	}
	return t
}

// placeholders returns the names within {{…}}, each once, in their order; numbers in order of size.
func placeholders(text string) (names []string) {
	for {
		_, rest, ok := strings.Cut(text, "{{")
		name, after, closed := strings.Cut(rest, "}}")
		if !ok || !closed {
			break
		}
		if name = strings.TrimSpace(name); !slices.Contains(names, name) {
			names = append(names, name)
		}
		text = after
	}
	if slices.ContainsFunc(names, func(name string) bool { _, err := strconv.Atoi(name); return err != nil }) {
		return names
	}
	slices.SortFunc(names, func(a, b string) int { x, _ := strconv.Atoi(a); y, _ := strconv.Atoi(b); return x - y })
	return names
}

// parameters describes the template's parameters for people.
func (t *AccountTemplate) parameters() []string {
	list := []string{}
	if t.Header != "" && t.Header != formatText {
		list = append(list, "header "+strings.ToLower(t.Header))
	}
	for _, name := range t.InHeader {
		list = append(list, "header "+name)
	}
	for _, name := range t.InBody {
		list = append(list, "body "+name)
	}
	for i, b := range t.Buttons {
		if b.needsParameter() {
			list = append(list, fmt.Sprintf("button %d %s", i, strings.ToLower(b.Type)))
		}
	}
	return list
}

// needsParameter reports whether a message can't do without a parameter for the button.
func (b AccountButton) needsParameter() bool {
	return b.Type == "URL" && b.Dynamic || b.Type == "COPY_CODE" || b.Type == "OTP" || b.Type == "MPM"
}

// takes reports whether a button component of a subtype belongs to the button.
func (b AccountButton) takes(subType string) bool {
	kind := strings.ToUpper(subType)
	return b.Type == kind || b.Type == "OTP" && (kind == "URL" || kind == "COPY_CODE")
}

// storedTemplates is the record of an account's templates.
type storedTemplates struct {
	At        int64             `json:"at"` // Unix seconds
	Templates []AccountTemplate `json:"templates"`
}

func decodeStoredTemplates(value []byte) (storedTemplates, bool) {
	var s storedTemplates
	return s, len(value) > 0 && json.Unmarshal(value, &s) == nil && s.At > 0
}
