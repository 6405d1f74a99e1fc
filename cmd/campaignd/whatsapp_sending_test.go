package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/send/whatsapp/graphfake"
)

const welcomeCampaign = `{"id": 7, "applicationId": 1, "channelTypes": ["wa"], "messageContent": [{"template": {"name": "welcome", "language": "es",
	"components": [{"type": "body", "parameters": [{"type": "text", "text": "{{name}}"}]}]}}]}`

// show returns what campaignd show prints about a drop.
func (s *waShop) show(drop string) string {
	var out bytes.Buffer
	_ = s.run(s.t.Context(), &out, "show", drop) // it fails until the drop is accepted
	return out.String()
}

// read returns a file of the shop, by a pattern that only its path matches.
func (s *waShop) read(pattern string) string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(s.dir, pattern))
	s.check(err)
	if len(found) != 1 {
		s.t.Fatalf("%s matches %d files; want one", pattern, len(found))
	}
	data, err := os.ReadFile(found[0])
	s.check(err)
	return string(data)
}

// submit drops rows whose channel is a column.
func (s *waShop) submit(name string, campaign int, rows string) {
	s.t.Helper()
	s.write("in/"+name+".layout.json", `{"contact": {"contactCode": "{{phone}}", "channelType": "{{via}}"}, "customFields": {"name": "{{name}}"}}`)
	s.write("in/"+name+".csv", "phone,name,via\n"+rows)
	s.write("in/"+name+".schedule.json", fmt.Sprintf(`{"campaignId": %d}`, campaign))
}

// TestHoldOfAnUnusedChannelIsNotShown: the channel wa is held. A sending whose campaign allows it, but whose rows use
// another channel, shows no reason to wait.
func TestHoldOfAnUnusedChannelIsNotShown(t *testing.T) {
	s := newWAShop(t)
	s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"))
	s.fake.Answers(func(graphfake.Message) graphfake.Answer { return graphfake.Answer{Code: 131042} })
	config := strings.NewReplacer("[applications.channels.wa]", fmt.Sprintf("[applications.channels.file]\ndriver = \"outbox\"\npath = %q\nrate = 0.5\n[applications.channels.wa]", filepath.Join(s.dir, "outbox.jsonl")))
	s.write("campaignd.toml", config.Replace(s.read("campaignd.toml")))
	s.write("campaigns/7.json", strings.Replace(strings.Replace(welcomeCampaign, `["wa"]`, `["wa", "file"]`, 1), `"messageContent": [`, `"messageContent": [{"channelType": "file", "body": "Hola {{name}}"}, `, 1))
	s.start()
	s.submit("held", 7, "34666000111,Ada,wa\n")
	s.until("the channel is held", func() bool { return strings.Contains(s.show("held"), "channel wa is held") })
	s.submit("free", 7, "34666000222,Grace,file\n34666000333,Edith,file\n34666000444,Joan,file\n")
	s.until("a message of the other sending is sent", func() bool { return strings.Contains(s.show("free"), "sent") })
	for _, word := range []string{"held", "waits", "channel wa"} {
		if text := s.show("free"); strings.Contains(text, word) {
			t.Errorf("show: got\n%s\nwant no %q: the sending doesn't use that channel", text, word)
		}
	}
	if status := s.read("in/accepted/free.*/status.txt"); strings.Contains(status, "held") || strings.Contains(status, "wa ") {
		t.Errorf("status.txt tells of a channel that the sending doesn't use:\n%s", status)
	}
}

// TestTemporaryConditionsFailNothing: 134101 (a template that Meta prepares) and 132069 (a flow that it limits) leave the
// message to be tried again, with the code as the reason.
func TestTemporaryConditionsFailNothing(t *testing.T) {
	for _, code := range []int{134101, 132069} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			s := newWAShop(t)
			s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"))
			s.fake.Answers(func(m graphfake.Message) graphfake.Answer {
				if m.To == "34666000111" {
					return graphfake.Answer{}
				}
				return graphfake.Answer{Code: code}
			})
			s.write("campaigns/7.json", welcomeCampaign)
			s.start()
			s.submit("spring", 7, "34666000111,Ada,wa\n34666000222,Grace,wa\n34666000333,Edith,wa\n")
			s.until("two messages wait for a retry", func() bool {
				return len(s.got()) == 3 && strings.Contains(s.show("spring"), fmt.Sprintf("trying again after: %d", code))
			})
			text := s.show("spring")
			wantText(t, "show", text, "retrying         2\nsent             1\n\n") // and no message with another outcome
			var out bytes.Buffer
			if status := s.run(t.Context(), &out, "cancel", "spring"); status != 0 {
				t.Errorf("cancel ends with %d: %s", status, out.String())
			}
			wantText(t, "the report", s.file("spring", "report.txt"), "Canceled after 1 of 3 messages had been sent")
			if results := s.file("spring", "results.csv"); strings.Count(results, ",canceled,") != 2 {
				t.Errorf("results.csv doesn't have two canceled messages:\n%s", results)
			}
		})
	}
}
