package service

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/contact"
	"campaignd/internal/media"
	"campaignd/internal/plan/document"
	"campaignd/internal/send"
	"campaignd/internal/source"
	"campaignd/internal/store"
)

// SendTest implements control.Upkeep. Opt-outs and daily_contacts apply as for any message; the
// channel's rate and holds don't.
func (svc *Service) SendTest(ctx context.Context, m api.TestMessage, who string) (api.TestResult, error) {
	out, err := svc.Store.OptedOut(m.ApplicationID, m.ChannelType, []byte(m.ContactCode))
	if err != nil {
		return api.TestResult{}, err
	}
	if out {
		return api.TestResult{}, api.Conflictf("the contact has opted out of channel %q: remove the opt-out first (campaignd suppress remove) or use another contact", m.ChannelType)
	}
	result, err := sendTest(ctx, svc.Config(), svc.Environment(), m)
	if err != nil {
		return api.TestResult{}, err
	}
	return result, svc.Store.Audit(store.AuditEntry{Who: who, Action: "send-test",
		Detail: fmt.Sprintf("campaign %d on channel %s of application %d: %s", m.CampaignID, m.ChannelType, m.ApplicationID, result.Outcome)})
}

// SendTest sends one message without a daemon. It opens no store, so opt-outs and daily_contacts
// don't apply. It returns an *api.Error if the caller can fix the cause.
func SendTest(ctx context.Context, c *config.Config, getenv func(string) string, m api.TestMessage) (api.TestResult, error) {
	return sendTest(ctx, c, PlainEnvironment(c, getenv), m)
}

// PlainEnvironment returns what drivers get of a process without a store.
func PlainEnvironment(c *config.Config, getenv func(string) string) config.Environment {
	return config.Environment{Secret: config.SecretReader(getenv), Media: media.New(func() string { return c.CampaignsDir }, "")}
}

func sendTest(ctx context.Context, c *config.Config, env config.Environment, m api.TestMessage) (api.TestResult, error) {
	ch, contents, variables, err := testSubject(c, m)
	if err != nil {
		return api.TestResult{}, err
	}
	var seen send.Transcript
	mask := newMask(ch.Hidden())
	env.Secret, env.Tracer = mask.recording(env.Secret), seen.Tracer
	driver, err := ch.Open(env)
	if err != nil {
		hint := ""
		if ch.Remote() {
			hint = "; workers send this channel: run send-test on a machine that runs campaignd worker, which has its secrets"
		}
		return api.TestResult{}, api.Invalidf("channel %q can't be used: %s%s", m.ChannelType, mask.apply(err.Error()), hint)
	}
	defer driver.Close()
	if contents[0].Item, err = uploadFiles(ctx, driver, contents[0].Item); err != nil {
		return api.TestResult{}, api.Invalidf("message %d can't be sent on %s: %s", m.Message, m.ChannelType, mask.apply(err.Error()))
	}
	msg, err := testMessage(driver, c.Application(m.ApplicationID).ContactRules(m.ChannelType), contents, variables, m)
	if err != nil {
		return api.TestResult{}, err
	}
	results := make([]send.Result, 1)
	driver.Send(ctx, []*send.Message{msg}, results)
	r := api.TestResult{Key: msg.Key, ChannelType: m.ChannelType, Driver: ch.Driver, Traced: ch.Traced(), Outcome: outcomeOf(results[0].Verdict),
		ProviderID: results[0].ProviderID, Code: results[0].Code, Detail: results[0].Detail}
	r.Request, r.Reply = seen.Texts()
	if r.Request == "" { // the driver has no wire: show its input
		r.Request = string(new(send.Encoder).Append(nil, msg)) + "\n"
	}
	r.Request, r.Reply, r.Detail = mask.apply(r.Request), mask.apply(r.Reply), mask.apply(r.Detail)
	return r, nil
}

// uploadFiles returns the item with its files uploaded.
func uploadFiles(ctx context.Context, driver send.Channel, item json.RawMessage) (json.RawMessage, error) {
	channel, ok := driver.(send.MediaChannel)
	if !ok {
		return item, nil
	}
	files, err := channel.Media(item)
	if err != nil || len(files) == 0 {
		return item, err
	}
	return channel.Prepare(ctx, item, files)
}

// testSubject finds the channel and the campaign that m names.
func testSubject(c *config.Config, m api.TestMessage) (config.Channel, []campaign.Content, []string, error) {
	fail := func(err error) (config.Channel, []campaign.Content, []string, error) {
		return config.Channel{}, nil, nil, err
	}
	a := c.Application(m.ApplicationID)
	if a == nil {
		return fail(api.NotFoundf("there is no application %d", m.ApplicationID))
	}
	ch, ok := a.Channels[m.ChannelType]
	if !ok {
		names := slices.Sorted(maps.Keys(a.Channels))
		return fail(api.NotFoundf("application %d has no channel %q; it has: %s%s", a.ID, m.ChannelType, strings.Join(names, ", "), source.DidYouMean(m.ChannelType, names)))
	}
	camp, why, details, err := check.NewCampaigns(c.CampaignsDir).Find(a.ID, m.CampaignID)
	if err != nil {
		return fail(err)
	}
	if camp == nil {
		return fail(&api.Error{Code: api.CodeNotFound, Message: why, Problems: details.List})
	}
	if !slices.Contains(camp.ChannelTypes, m.ChannelType) {
		return fail(api.Invalidf("campaign %d can be sent on: %s", camp.ID, strings.Join(camp.ChannelTypes, ", ")))
	}
	contents := campaign.ContentsFor(camp.Contents, m.ChannelType)
	if m.Message < 1 || m.Message > len(contents) {
		return fail(api.Invalidf("campaign %d has %d messages on %s, but no message %d", camp.ID, len(contents), m.ChannelType, m.Message))
	}
	return ch, contents[m.Message-1 : m.Message], document.Variables(contents[m.Message-1 : m.Message]), nil
}

// testMessage renders and checks the message as intake does.
func testMessage(driver send.Channel, rules contact.Rules, contents []campaign.Content, variables []string, m api.TestMessage) (*send.Message, error) {
	for name := range m.Variables {
		if !slices.Contains(variables, name) {
			return nil, api.Invalidf("the message has no variable %q; it has: %s%s", name, strings.Join(variables, ", "), source.DidYouMean(name, variables))
		}
	}
	var rows campaign.Rows
	rows.Reset(0, len(variables))
	for i, name := range variables {
		value, ok := m.Variables[name]
		if !ok {
			return nil, api.Invalidf("the message needs a value for %q: --var %s=…", name, name)
		}
		rows.Values[i].AppendString(value)
	}
	template, err := driver.Compile(contents[0].Item, variables)
	if err != nil {
		return nil, api.Invalidf("message %d can't be sent on %s: %v", m.Message, m.ChannelType, err)
	}
	content := template.Append(nil, &rows, 0)
	if m.ContactCode == "" {
		return nil, api.Invalidf("contactCode is empty: give the contact to send to")
	}
	normal, why := rules.Normalize(nil, []byte(m.ContactCode))
	if why.Code != "" {
		return nil, api.Invalidf("the message would be rejected: %s", why.Text)
	}
	if err := driver.CheckMessage(normal.To, content); err != nil {
		return nil, api.Invalidf("the message would be rejected: %v", err)
	}
	to := ""
	if kind := rules.Kind(); kind == contact.Phone || kind == contact.Digits {
		to = string(normal.To)
	}
	// The key differs from every sending's keys, and each test has its own.
	key := "test-" + strings.ToLower(rand.Text()[:16])
	return &send.Message{Key: key, SendingID: "test", ApplicationID: m.ApplicationID, CampaignID: m.CampaignID, ChannelType: m.ChannelType,
		ContactCode: m.ContactCode, To: to, Number: m.Message, Content: content, DueAt: time.Now().UTC().Round(0), Attempt: 1}, nil
}

func outcomeOf(v send.Verdict) string {
	switch v {
	case send.VerdictSent:
		return "sent"
	case send.VerdictRetry, send.VerdictRecipientBusy, send.VerdictDeferred, send.VerdictUnreachable, send.VerdictThrottled:
		return "retry"
	case send.VerdictPermanent, send.VerdictBadRecipient, send.VerdictNoEndpoint:
		return "failed"
	case send.VerdictHold:
		return "held"
	}
	return "unknown"
}
