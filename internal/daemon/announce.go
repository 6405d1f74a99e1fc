package daemon

import (
	"slices"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/notify"
)

// endedDrop is the member data of a request to notify_url. Keys are added but never renamed.
type endedDrop struct {
	ID            campaign.ID        `json:"id"`
	Name          string             `json:"name"`
	Reference     string             `json:"reference,omitempty"`
	ApplicationID int64              `json:"applicationId"`
	CampaignID    int64              `json:"campaignId"`
	State         campaign.State     `json:"state"`
	Reason        string             `json:"reason,omitempty"`
	ReceivedAt    time.Time          `json:"receivedAt,omitzero"`
	ScheduledAt   time.Time          `json:"scheduledAt,omitzero"`
	StartedAt     time.Time          `json:"startedAt,omitzero"`
	FinishedAt    time.Time          `json:"finishedAt,omitzero"`
	Recipients    campaign.RowCounts `json:"recipients"`
	Messages      control.Messages   `json:"messages"`
}

func endedDropOf(s *campaign.Sending, counts campaign.Counts) any {
	return endedDrop{ID: s.ID, Name: s.Name, Reference: s.Reference, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID,
		State: s.State, Reason: s.Reason, ReceivedAt: s.ReceivedAt, ScheduledAt: s.ScheduledAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		Recipients: s.Rows, Messages: control.MessagesOf(s, counts)}
}

// notifyTarget returns where the ends of an inbox's drops are announced. The secret is read at each
// use, so that a changed one is in force immediately.
func (d *Daemon) notifyTarget(inbox string) (notify.Target, bool, error) {
	c := d.current()
	i := slices.IndexFunc(c.Inboxes, func(in config.Inbox) bool { return sameInbox(in.Path, inbox) })
	if i < 0 || c.Inboxes[i].NotifyURL == "" {
		return notify.Target{}, false, nil
	}
	secret, err := config.ReadSecret(c.Inboxes[i].NotifySecretFile, d.opts.Getenv)
	return notify.Target{URL: c.Inboxes[i].NotifyURL, Secret: secret}, true, err
}
