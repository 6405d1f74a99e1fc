package document

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/source"
)

// MaxReference is the most characters a sidecar's reference may have (docs/contract.md 5).
const MaxReference = 128

// Sidecar is the content of NAME.schedule.json (docs/contract.md 5).
type Sidecar struct {
	File             string             // base name as dropped, for messages
	ApplicationID    *int64             // nil: the inbox's default
	CampaignID       *int64             // nil: the inbox's default
	ScheduleAt       string             // "" if absent; read by When
	Delay            string             // "" if absent; read by When
	SlicingCondition campaign.Condition // FragmentedSlots if absent
	Rows, Bytes      *int64             // promised size of the CSV; nil: no promise
	SHA256           string             // promised digest of the CSV, lower case; "": no promise
	DryRun, Resend   bool
	Reference        string

	positions      map[string]position // of the values of its keys
	objectPosition position            // of the object; zero where there is no file
	files          map[string]string   // of the keys that Complete took, where they come from
}

// Place returns the position of key's value: of the object if it lacks the key, zero
// if there is no sidecar.
func (s *Sidecar) Place(key string) (line, column int) {
	at, ok := s.positions[key]
	if !ok {
		at = s.objectPosition
	}
	return at.line, at.column
}

// Has reports whether the sidecar has the key, valid or not.
func (s *Sidecar) Has(key string) bool {
	_, ok := s.positions[key]
	return ok
}

const sidecarExample = `{"applicationId": 1, "campaignId": 7}, or {} for the inbox's defaults`

// SidecarKeys returns the keys that a sidecar may have (docs/contract.md 5).
func SidecarKeys() []string {
	return []string{"applicationId", "campaignId", "scheduleAt", "delay", "slicingCondition",
		"rows", "bytes", "sha256", "dryRun", "resend", "reference"}
}

// LooksLikeSidecar reports whether data is probably a sidecar, by the names of its keys.
func LooksLikeSidecar(data []byte) bool { return mostly(data, SidecarKeys(), layoutKeys()) }

// ParseSidecar reads a sidecar. file is its base name, for messages. The sidecar
// is nil only where the JSON is broken; with Count > 0 it is partial. When checks
// scheduleAt and delay.
func ParseSidecar(file string, data []byte) (*Sidecar, campaign.Problems) {
	var found findingList
	root, ok := parse(&found, data, "schedule", sidecarExample)
	if !ok {
		return nil, found.Problems(file, data)
	}
	s := shape{&found, data}
	known := SidecarKeys()
	s.keys(&root, "", known, nil)
	side := &Sidecar{
		File:             file,
		ApplicationID:    s.optionalInteger(&root, "applicationId", 1),
		CampaignID:       s.optionalInteger(&root, "campaignId", 1),
		SlicingCondition: s.condition(root.get("slicingCondition")),
		Rows:             s.optionalInteger(&root, "rows", 0),
		Bytes:            s.optionalInteger(&root, "bytes", 0),
		SHA256:           s.digest(root.get("sha256")),
		DryRun:           s.optionalBoolean(&root, "dryRun"),
		Resend:           s.optionalBoolean(&root, "resend"),
		Reference:        s.reference(root.get("reference")),
	}
	side.ScheduleAt = s.time(&root, "scheduleAt", `a date and time, e.g. "2026-03-01T09:30:00Z"`)
	side.Delay = s.time(&root, "delay", `a duration, e.g. "PT15M"`)
	side.locate(&root, known, source.NewLocator(data))
	if first, second := root.get("scheduleAt"), root.get("delay"); first != nil && second != nil {
		s.add(int(max(first.start, second.start)), "delay", "scheduleAt and delay can't both be given; keep one of them")
	}
	return side, found.Problems(file, data)
}

func (s shape) optionalInteger(root *node, name string, least int64) *int64 {
	n := root.get(name)
	if n == nil {
		return nil
	}
	v, ok := s.integer(n, name, least)
	if !ok {
		return nil
	}
	return &v
}

func (s shape) optionalBoolean(root *node, name string) bool {
	n := root.get(name)
	return n != nil && s.boolean(n, name)
}

// locate records the positions of the sidecar and of its values.
func (s *Sidecar) locate(root *node, known []string, at *source.Locator) {
	spot := func(n *node) position {
		line, column := at.At(int(n.start))
		return position{line, column}
	}
	s.objectPosition = spot(root)
	for i := range root.members { // in the order of the file, which is one pass for the locator
		if m := &root.members[i]; slices.Contains(known, m.name) {
			if s.positions == nil {
				s.positions = make(map[string]position, len(known))
			}
			s.positions[m.name] = spot(&m.value)
		}
	}
}

// time returns the text of scheduleAt or delay.
func (s shape) time(root *node, name, want string) string {
	n := root.get(name)
	if n == nil {
		return ""
	}
	text, ok := s.str(n, name, want)
	if ok && text == "" {
		s.add(int(n.start), name, "found an empty string, want %s; leave the key out to send at once", want)
	}
	return text
}

func (s shape) condition(n *node) campaign.Condition {
	if n == nil {
		return campaign.FragmentedSlots
	}
	names := make([]string, len(campaign.Conditions))
	for i, c := range campaign.Conditions {
		names[i] = string(c)
	}
	text, ok := s.str(n, "slicingCondition", "one of "+list(names))
	if ok && !slices.Contains(names, text) {
		s.add(int(n.start), "slicingCondition", "unknown condition %s%s (want one of %s)", quote(text), didYouMean(text, names), list(names))
	}
	return campaign.Condition(text)
}

// digest returns the sha256 in lower case.
func (s shape) digest(n *node) string {
	const want = "64 hex digits, the SHA-256 of the CSV file"
	if n == nil {
		return ""
	}
	text, ok := s.str(n, "sha256", want)
	if !ok {
		return ""
	}
	if len(text) != 64 {
		s.add(int(n.start), "sha256", "found %s, want %s", display.Amount(int64(utf8.RuneCountInString(text)), "character"), want)
		return ""
	}
	text = strings.ToLower(text)
	if i := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		s.add(int(n.start), "sha256", "found %q among them, want %s", r, want)
		return ""
	}
	return text
}

func (s shape) reference(n *node) string {
	if n == nil {
		return ""
	}
	text, ok := s.str(n, "reference", "a string")
	if !ok {
		return ""
	}
	if size := utf8.RuneCountInString(text); size > MaxReference {
		s.add(int(n.start), "reference", "found %d characters, want at most %d", size, MaxReference)
		return ""
	}
	if i := strings.IndexFunc(text, unprintable); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		s.add(int(n.start), "reference", "holds the control character %U, want plain text in one line", r)
		return ""
	}
	return text
}

// unprintable reports characters that would break or falsify a line of a report:
// controls, line separators, and the marks that turn the direction of writing.
func unprintable(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
