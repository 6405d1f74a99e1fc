package service

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"campaignd/internal/api"
)

// The doctor called the store ok while its disk was full and nothing could be sent.
func TestDoctorNamesAStoreThatCannotBeWritten(t *testing.T) {
	for name, c := range map[string]struct {
		wrong      []string
		unwritable error
		level      api.Level
		message    string
		advice     string
	}{
		"sound":     {level: api.LevelOK, message: "its counts are consistent"},
		"damaged":   {wrong: []string{"a count is wrong"}, level: api.LevelFail, message: "a count is wrong", advice: "restore the newest backup"},
		"full disk": {unwritable: fmt.Errorf("write: %w", syscall.ENOSPC), level: api.LevelFail, message: "nothing is sent: write: no space left on device", advice: "make room on its disk"},
	} {
		t.Run(name, func(t *testing.T) {
			got := storeFindings(c.wrong, c.unwritable)
			if len(got) != 1 {
				t.Fatalf("got %d findings, want 1: %v", len(got), got)
			}
			if got[0].Level != c.level {
				t.Errorf("level is %q, want %q", got[0].Level, c.level)
			}
			if !strings.Contains(got[0].Message, c.message) {
				t.Errorf("message is %q, want %q in it", got[0].Message, c.message)
			}
			if !strings.Contains(got[0].Advice, c.advice) {
				t.Errorf("advice is %q, want %q in it", got[0].Advice, c.advice)
			}
		})
	}
}
