package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
	"campaignd/internal/check"
	"campaignd/internal/config"
)

// dropPlan holds the meaning of the options of drop.
type dropPlan struct {
	campaign *campaign.Campaign
	app      *config.Application
	inbox    *config.Inbox
	at       string // scheduleAt, "" to begin at once or after a delay
	delay    string // "": none
}

// planDrop checks the options. Its errors are about the command line.
func (env *environment) planDrop(cfg *config.Config, o *dropOptions) (*dropPlan, error) {
	if !o.yes && !o.dryRun && !env.interactive() {
		return nil, usage("there is no terminal to ask on: add --yes to drop without a question, or look first with \"campaignd check\"")
	}
	if o.campaign == 0 {
		return nil, usage("--campaign is missing; \"campaignd campaign list\" lists the campaigns")
	}
	if o.at != "" && o.in != "" {
		return nil, usage("--at and --in can't both be given: keep one of them")
	}
	if err := checkCondition(o.condition); err != nil {
		return nil, err
	}
	p := &dropPlan{}
	var err error
	if p.campaign, err = findCampaign(cfg, check.NewCampaigns(cfg.CampaignsDir), o.campaign, o.application); err != nil {
		return nil, err
	}
	if p.app = cfg.Application(p.campaign.ApplicationID); p.app == nil {
		return nil, unknownApplication(cfg, p.campaign.ApplicationID)
	}
	env.useZone(cfg, p.app.ID)
	if p.inbox, err = env.dropInbox(cfg, o.inbox, p.app.ID); err != nil {
		return nil, err
	}
	if p.delay, err = parseDelay(o.in); err != nil {
		return nil, err
	}
	if o.at != "" {
		if p.at, err = parseAt(o.at, time.Now(), p.app.Location); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func checkCondition(text string) error {
	names := texts(campaign.Conditions)
	if text == "" || slices.Contains(names, text) {
		return nil
	}
	return unknownName("--condition", text, names)
}

// What --at and --in take.
const (
	atHelp = "when to begin: \"15:04\", \"tomorrow 15:04\" or an ISO 8601 date-`time`"
	inHelp = "how long from now to begin, such as 2h or 90m; a `length` of time"
)

// parseDelay reads --in and returns it as the delay of a sidecar, "" if it isn't given.
func parseDelay(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	length, err := calendar.ParseLength(text)
	if err != nil || length == 0 {
		return "", usage(`found --in %q, want a length of time such as "2h", "90m" or "3d"`, text)
	}
	return "PT" + strconv.FormatFloat(length.Seconds(), 'f', -1, 64) + "S", nil
}

// parseAt reads --at: "15:04" today or "tomorrow 15:04" in the application's time zone (nil:
// UTC), or an ISO 8601 date-time. It returns an instant with its offset.
func parseAt(text string, now time.Time, zone *time.Location) (string, error) {
	local := now.UTC()
	if zone != nil {
		local = now.In(zone)
	}
	clock, tomorrow := strings.CutPrefix(text, "tomorrow ")
	day := local
	if tomorrow {
		day = local.AddDate(0, 0, 1)
	}
	whole := text
	if parsed, err := time.Parse("15:04", strings.TrimSpace(clock)); err == nil {
		whole = day.Format(time.DateOnly) + "T" + parsed.Format("15:04")
		if zone == nil {
			whole += "Z"
		}
	} else if tomorrow {
		return "", usage(`found --at %q, want a time of day after "tomorrow", as in "tomorrow 09:30"`, text)
	}
	at, err := calendar.ParseInstant(whole, zone)
	if err != nil && whole == text {
		return "", usage(`found --at %q, want "15:04", "tomorrow 15:04" or a date-time: %v`, text, err)
	}
	if err != nil {
		return "", usage("--at %q: %v", text, err)
	}
	if whole != text && at.Before(now) {
		return "", usage("%s has passed, it is %s in %s: write \"tomorrow %s\" or leave --at out to begin now", text, local.Format("15:04"), local.Location(), text)
	}
	return at.In(local.Location()).Format(time.RFC3339Nano), nil
}

// dropInbox returns the inbox with that path, or the one that may send for the application.
func (env *environment) dropInbox(cfg *config.Config, named string, application int64) (*config.Inbox, error) {
	var fits []*config.Inbox
	for i := range cfg.Inboxes {
		if in := &cfg.Inboxes[i]; in.Allows(application) {
			fits = append(fits, in)
		}
	}
	if named != "" {
		in, err := env.namedInbox(cfg, named)
		if err == nil && !in.Allows(application) {
			err = usage("the inbox %s may not send for application %d; these may: %s", in.Path, application, inboxPaths(fits))
		}
		return in, err
	}
	switch len(fits) {
	case 0:
		return nil, usage("no inbox may send for application %d", application)
	case 1:
		return fits[0], nil
	}
	return nil, usage("several inboxes may send for application %d: name one with --inbox: %s", application, inboxPaths(fits))
}

// namedInbox returns the inbox with that path, also relative to where the command was typed, or
// with that last part if it is unique.
func (env *environment) namedInbox(cfg *config.Config, named string) (*config.Inbox, error) {
	found := cfg.InboxesNamed(named)
	if typed := cfg.InboxesNamed(env.path(named)); len(typed) == 1 {
		found = typed
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		var all []*config.Inbox
		for i := range cfg.Inboxes {
			all = append(all, &cfg.Inboxes[i])
		}
		return nil, usage("%q is not an inbox in the configuration; there are: %s", named, inboxPaths(all))
	}
	return nil, usage("several inboxes are called %q: give the whole path: %s", named, inboxPaths(found))
}

// samePath reports whether two paths name one place.
func samePath(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

func inboxPaths(list []*config.Inbox) string {
	var paths []string
	for _, in := range list {
		paths = append(paths, in.Path)
	}
	if len(paths) == 0 {
		return "none"
	}
	return strings.Join(paths, ", ")
}

// sidecar is the content of NAME.schedule.json (docs/contract.md 5).
type sidecar struct {
	ApplicationID    int64  `json:"applicationId"`
	CampaignID       int64  `json:"campaignId"`
	ScheduleAt       string `json:"scheduleAt,omitempty"`
	Delay            string `json:"delay,omitempty"`
	SlicingCondition string `json:"slicingCondition,omitempty"`
	SHA256           string `json:"sha256"`
	DryRun           bool   `json:"dryRun,omitempty"`
	Resend           bool   `json:"resend,omitempty"`
	Reference        string `json:"reference,omitempty"`
}

// sidecarOf returns the sidecar and the digest of the CSV in it.
func sidecarOf(ctx context.Context, parts *check.Parts, p *dropPlan, o *dropOptions) ([]byte, string, error) {
	info, err := check.Inspect(ctx, parts)
	if err != nil {
		return nil, "", err
	}
	s := sidecar{ApplicationID: p.app.ID, CampaignID: p.campaign.ID, ScheduleAt: p.at, Delay: p.delay, SlicingCondition: o.condition,
		SHA256: info.SHA256, DryRun: o.dryRun, Resend: o.resend, Reference: o.reference}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, "", fmt.Errorf("write sidecar: %w", err)
	}
	return append(data, '\n'), info.SHA256, nil
}
