package tables

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
)

// AuditEntry records an action of a person or a control file.
type AuditEntry struct {
	At      time.Time   `json:"at"`
	Who     string      `json:"who"`    // a user, an inbox's control file, "daemon"
	Action  string      `json:"action"` // pause, resume, cancel …
	Sending campaign.ID `json:"sending,omitempty"`
	Detail  string      `json:"detail,omitempty"` // no contact data
}

// Audit stores e; a zero At becomes now.
func (s Tables) Audit(e AuditEntry) error {
	if e.At.IsZero() {
		e.At = time.Now().UTC()
	}
	value, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record %q: %w", e.Action, err)
	}
	return s.db.Update(func(t *db.Tx) error {
		b := t.Ascending(bucketAudit)
		seq, err := b.NextSequence()
		if err != nil {
			return err
		}
		return b.Put(auditKey(e.At.UnixNano(), seq), value)
	})
}

// EachAudit calls fn with the entries since an instant, oldest first.
func (s Tables) EachAudit(since time.Time, fn func(AuditEntry) error) error {
	from := int64(0)
	if since.After(time.Unix(0, 0)) {
		from = since.UnixNano()
	}
	return s.db.EachPage(bucketAudit, []byte{}, auditKey(from, 0), func(_, value []byte) error {
		var e AuditEntry
		if err := db.DecodeJSON("audit", value, &e); err != nil {
			return err
		}
		return fn(e)
	})
}

// auditKey orders by the instant (Unix nanoseconds, not negative), then by number.
func auditKey(at int64, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(at)), seq)
}
