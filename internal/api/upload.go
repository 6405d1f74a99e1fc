package api

import (
	"io"
	"time"

	"campaignd/internal/campaign"
)

// UploadRequest is a request that brings a drop.
type UploadRequest struct {
	Inbox         string // of the partner's token; "": the part "inbox" names it
	ApplicationID int64
	CampaignID    int64
	Key           string // Idempotency-Key, "" if there is none
	Size          int64  // bytes of the body, 0 if unknown
}

// UploadPart is one part of a request.
type UploadPart struct {
	Name     string
	FileName string // as the client wrote it: not to be trusted; "" for a field
	Body     io.Reader
}

// Uploaded is an uploaded drop. Its state is checking while the check goes on.
type Uploaded struct {
	ID            campaign.ID        `json:"id"`
	Name          string             `json:"name"`
	State         campaign.State     `json:"state"`
	ApplicationID int64              `json:"applicationId"`
	CampaignID    int64              `json:"campaignId"`
	Reference     string             `json:"reference,omitempty"`
	ScheduledAt   time.Time          `json:"scheduledAt,omitzero"`
	Recipients    campaign.RowCounts `json:"recipients"`
	Planned       uint64             `json:"planned"` // messages
	Warnings      []campaign.Problem `json:"warnings,omitempty"`
}

// UploadedOf describes a drop that was taken in.
func UploadedOf(s *campaign.Sending) Uploaded {
	return Uploaded{ID: s.ID, Name: s.Name, State: s.State, ApplicationID: s.ApplicationID, CampaignID: s.CampaignID,
		Reference: s.Reference, ScheduledAt: s.ScheduledAt, Recipients: s.Rows, Planned: s.Planned, Warnings: s.Warnings}
}
