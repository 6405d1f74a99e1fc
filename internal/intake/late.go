package intake

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"campaignd/internal/campaign"
	"campaignd/internal/report"
	"campaignd/internal/safeio"
)

// ReportLate rewrites the files of ended sendings whose receipts arrived after the last report.
// Each file is replaced atomically. Nothing is written if somebody removed the folder.
func (in *Intake) ReportLate(ctx context.Context) error {
	late, err := in.store.StaleReports()
	for _, id := range late {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// One failure doesn't stop the others.
		err = errors.Join(err, in.reportLate(id))
	}
	return err
}

func (in *Intake) reportLate(id campaign.ID) error {
	unlock := in.folders.lock(id)
	defer unlock()
	s, _, _, err := in.store.Load(id)
	if err != nil {
		return err
	}
	if !s.Filed {
		return nil // reopened: the files are written when it ends
	}
	if in.inbox(s.Inbox) != nil {
		if err := in.Present(s.Inbox); err != nil {
			return err // written when it is back
		}
	}
	dir := finalFolder(s)
	switch _, err := os.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := report.Write(dir, in.store, id); err != nil {
			return err
		}
		if err := safeio.SyncDir(dir); err != nil {
			return err
		}
		in.log.Info("files updated with late receipts", "sending", id, "folder", dir)
	}
	return in.store.MarkReported(id, s.ReceiptVersion)
}
