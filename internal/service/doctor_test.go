package service

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/send"
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

// The doctor advised to resume channels that nothing held back, and to fix a limit that ends by itself.
func TestDoctorAdvisesOnChannels(t *testing.T) {
	retry := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		channel send.ChannelStatus
		level   api.Level
		advice  string
	}{
		"held":              {channel: send.ChannelStatus{State: send.ChannelHeld, RetryAt: retry}, level: api.LevelFail, advice: "fix the cause, then run: campaignd resume --channel c --application 1"},
		"held by our rule":  {channel: send.ChannelStatus{State: send.ChannelHeld, RetryAt: retry, OwnRule: true}, level: api.LevelWarn, advice: "it continues by itself"},
		"in trouble":        {channel: send.ChannelStatus{State: send.ChannelTrouble, RetryAt: retry}, level: api.LevelWarn, advice: "to try immediately, run: campaignd resume --channel c --application 1"},
		"no answer so far":  {channel: send.ChannelStatus{State: send.ChannelTrouble}, level: api.LevelWarn, advice: "its messages are still tried"},
		"old workers":       {channel: send.ChannelStatus{State: send.ChannelHeld, Held: true, WaitsForWorkers: true}, level: api.LevelFail, advice: "upgrade campaignd on its workers"},
		"no worker running": {channel: send.ChannelStatus{State: send.ChannelTrouble, WaitsForWorkers: true}, level: api.LevelWarn, advice: "campaignd workers"},
		"ok":                {channel: send.ChannelStatus{State: send.ChannelOK}, level: api.LevelOK},
	} {
		t.Run(name, func(t *testing.T) {
			c.channel.Name, c.channel.Application = "c", 1
			got := channelFinding(c.channel)
			if got.Level != c.level {
				t.Errorf("level is %q, want %q", got.Level, c.level)
			}
			if !strings.Contains(got.Advice, c.advice) {
				t.Errorf("advice is %q, want %q in it", got.Advice, c.advice)
			}
		})
	}
}

// The doctor found no problem while a sending waited for a person.
func TestDoctorNamesHeldSendings(t *testing.T) {
	retry := func(id campaign.ID) (at time.Time) {
		if id == "20300101-000002" {
			at = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		return at
	}
	held := []*campaign.Sending{{ID: "20300101-000001", Reason: "20 equal refusals"}, {ID: "20300101-000002", Reason: "the template is paused"}}
	for i, want := range []api.Finding{
		{Level: api.LevelFail, Message: "20300101-000001 is held: 20 equal refusals", Advice: "fix the cause, then run: campaignd resume 20300101-000001"},
		{Level: api.LevelWarn, Message: "20300101-000002 is held: the template is paused", Advice: "it is tried again automatically; to try immediately, run: campaignd resume 20300101-000002"},
	} {
		want.Check = "sendings"
		if got := heldFindings(held, retry)[i]; got != want {
			t.Errorf("finding %d is %+v, want %+v", i, got, want)
		}
	}
	many := heldFindings(slices.Repeat(held, 3), retry)
	if len(many) != 1 {
		t.Fatalf("%d findings for 6 sendings, want 1: %v", len(many), many)
	}
	if want := "6 sendings are held, such as 20300101-000001: 20 equal refusals"; many[0].Message != want {
		t.Errorf("message is %q, want %q", many[0].Message, want)
	}
}

// The doctor named no time for the next try of a channel, which status did.
func TestDoctorSaysWhenAChannelIsTriedAgain(t *testing.T) {
	since := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	ch := send.ChannelStatus{Application: 1, Name: "sms", State: send.ChannelThrottled, Reason: "429 Too Many Requests", Since: since, RetryAt: since.Add(time.Minute)}
	got := channelFinding(ch)
	if want := "sms of application 1 is throttled: 429 Too Many Requests"; got.Message != want {
		t.Errorf("message is %q, want %q", got.Message, want)
	}
	if !got.Since.Equal(ch.Since) {
		t.Errorf("since is %v, want %v", got.Since, ch.Since)
	}
	if !got.NextTryAt.Equal(ch.RetryAt) {
		t.Errorf("the next try is at %v, want %v", got.NextTryAt, ch.RetryAt)
	}
}
