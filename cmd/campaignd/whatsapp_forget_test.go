package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/send/whatsapp/graphfake"
)

// TestForgetReachesRepliesAndStatus: after forget, the contact is in no file of the inbox, the state folder or the log:
// not in replies.csv, which quotes it, and not in the status of a sending that waits.
func TestForgetReachesRepliesAndStatus(t *testing.T) {
	const contact = "34666777001"
	s := newWAShop(t)
	s.fake.SetTemplates(graphfake.NewTemplate("welcome", "es", "Hola {{1}}"))
	s.write("campaigns/7.json", welcomeCampaign)
	s.start()
	s.drop("first", 7, contact+",Ada\n34666777002,Grace\n")
	s.submit("later", 7, contact+",Ada,wa\n34666777003,Edith,wa\n")
	s.write("in/later.schedule.json", `{"campaignId": 7, "delay": "P1D"}`)
	s.until("the second drop waits", func() bool { return strings.Contains(s.show("later"), "scheduled") })
	now := time.Now()
	for i, text := range []string{"I am +34 666 777 001", "thanks"} {
		to := []string{contact, "34666777002"}[i]
		s.hook(graphfake.Replies("106540352242922", graphfake.TextReply("wamid.r"+to, to, text, "", now)))
	}
	s.until("replies.csv has both", func() bool {
		text := s.file("first", "replies.csv")
		return strings.Contains(text, "thanks") && strings.Contains(text, "I am")
	})
	var out bytes.Buffer
	if status := s.run(t.Context(), &out, "forget", "666 777 001"); status != 0 {
		t.Fatalf("forget ends with %d: %s", status, out.String())
	}
	wantText(t, "forget", out.String(), "Messages that will not be sent: 1")
	s.check(filepath.WalkDir(s.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, spelling := range []string{contact, "666777001", "666 777 001"} {
			if bytes.Contains(data, []byte(spelling)) {
				t.Errorf("%s still has %s", strings.TrimPrefix(path, s.dir), spelling)
			}
		}
		return nil
	}))
	if strings.Contains(s.log.tail(), "666777001") {
		t.Error("the log has the contact")
	}
	if text := s.file("first", "replies.csv"); !strings.Contains(text, "thanks") {
		t.Errorf("replies.csv has lost the other contact's reply:\n%s", text)
	}
	s.until("status.txt counts the message that is suppressed", func() bool {
		return strings.Contains(s.read("in/accepted/later.*/status.txt"), "1 suppressed")
	})
}
