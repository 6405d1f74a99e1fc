package service

import (
	"fmt"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/display"
	"campaignd/internal/send"
)

// channelFinding reports a channel's state with advice.
func channelFinding(ch send.ChannelStatus) api.Finding {
	f := api.Finding{Check: "channel", Level: api.LevelOK, Message: fmt.Sprintf("%s of application %d is ok", ch.Name, ch.Application)}
	if ch.State == send.ChannelOK {
		return f
	}
	resume := fmt.Sprintf("campaignd resume --channel %s --application %d", ch.Name, ch.Application)
	f.Level, f.Message = api.LevelWarn, fmt.Sprintf("%s of application %d is %s: %s", ch.Name, ch.Application, ch.State.Describe(), ch.Reason)
	f.Since, f.NextTryAt = ch.Since, ch.RetryAt
	switch {
	case ch.WaitsForWorkers && ch.Held:
		f.Level, f.Advice = api.LevelFail, "upgrade campaignd on its workers; then it continues by itself"
	case ch.WaitsForWorkers:
		f.Advice = "it continues by itself; campaignd workers lists the workers that run"
	case ch.OwnRule:
		f.Advice = "it continues by itself when its limit allows the next message"
	case ch.State == send.ChannelHeld:
		f.Level, f.Advice = api.LevelFail, "fix the cause, then run: "+resume
	case ch.RetryAt.IsZero(): // nothing prevents messages, so there is nothing to resume
		f.Advice = "its messages are still tried; if this goes on, ask the operators of the receiver"
	default:
		f.Advice = "it is tried again automatically; to try immediately, run: " + resume
	}
	return f
}

// maxHeldFindings limits the held sendings that are reported one by one: after a restore all of them are held.
const maxHeldFindings = 5

// heldFindings reports the held sendings. until returns when one is tried again, zero if only a person
// continues it.
func heldFindings(held []*campaign.Sending, until func(campaign.ID) time.Time) (list []api.Finding) {
	if len(held) > maxHeldFindings {
		return []api.Finding{{Check: "sendings", Level: api.LevelFail, Message: fmt.Sprintf("%s are held, such as %s: %s", display.Amount(len(held), "sending"), held[0].ID, held[0].Reason),
			Advice: "campaignd status lists them with their reasons; fix the causes, then run: campaignd resume --all"}}
	}
	for _, s := range held {
		f := api.Finding{Check: "sendings", Level: api.LevelFail, Message: fmt.Sprintf("%s is held: %s", s.ID, s.Reason),
			Advice: fmt.Sprintf("fix the cause, then run: campaignd resume %s", s.ID)}
		if !until(s.ID).IsZero() {
			f.Level, f.Advice = api.LevelWarn, fmt.Sprintf("it is tried again automatically; to try immediately, run: campaignd resume %s", s.ID)
		}
		list = append(list, f)
	}
	return list
}
