package api

import (
	"time"

	"campaignd/internal/campaign"
)

// EndedDrop is the member data of a request to notify_url. Keys are added but never renamed.
type EndedDrop struct {
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
	Messages      Messages           `json:"messages"`
}

// EndedDropOf returns what is announced of a sending that has ended.
func EndedDropOf(s *campaign.Sending, counts campaign.Counts) EndedDrop {
	return EndedDrop{ID: s.ID, Name: s.Name, Reference: s.Reference, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID,
		State: s.State, Reason: s.Reason, ReceivedAt: s.ReceivedAt, ScheduledAt: s.ScheduledAt, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		Recipients: s.Rows, Messages: MessagesOf(s, counts)}
}
