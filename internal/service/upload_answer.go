package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/control"
	"campaignd/internal/failpoint"
	"campaignd/internal/folders"
	"campaignd/internal/intake"
	"campaignd/internal/store"
)

// outcome is an answer as it is remembered.
type outcome struct {
	Uploaded api.Uploaded
	Error    *api.Error
}

// answer waits for the check, and remembers the answer.
func (u *upload) answer(ctx context.Context, id campaign.ID) (api.Uploaded, error) {
	svc := u.svc
	var o outcome
	if u.remembered != nil && u.remembered.Answer != nil {
		if err := json.Unmarshal(u.remembered.Answer, &o); err != nil {
			return o.Uploaded, fmt.Errorf("read the remembered answer: %w", err)
		}
		return o.result()
	}
	waiting, cancel := context.WithTimeout(ctx, uploadWait)
	defer cancel()
	svc.Intake.AwaitDecision(waiting, id)
	if err := ctx.Err(); err != nil {
		return o.Uploaded, err
	}
	s, err := svc.Store.Header(id)
	if errors.Is(err, store.ErrNotFound) {
		return o.Uploaded, api.NotFoundf("sending %s was removed", id)
	}
	if err != nil {
		return o.Uploaded, err
	}
	if s.Void() {
		return o.Uploaded, api.Unavailablef("the upload was not taken in: repeat it")
	}
	failpoint.At(failpoint.UploadDecided)
	o = uploadOutcome(s)
	if u.remembered != nil {
		if u.remembered.Answer, err = json.Marshal(o); err != nil {
			return o.Uploaded, err
		}
		if err := svc.Store.AnswerRequest(u.remembered); err != nil {
			return o.Uploaded, err
		}
	}
	failpoint.At(failpoint.UploadAnswered)
	return o.result()
}

func (o outcome) result() (api.Uploaded, error) {
	if o.Error != nil {
		return o.Uploaded, o.Error
	}
	return o.Uploaded, nil
}

// uploadOutcome describes a drop after its check.
func uploadOutcome(s *campaign.Sending) outcome {
	refused := s.State == campaign.StateRejected || s.State == campaign.StateCanceled
	if !refused {
		return outcome{Uploaded: api.UploadedOf(s)}
	}
	e := &api.Error{Code: api.CodeRejected, Message: s.Reason, Problems: s.Problems, Sending: s.ID}
	if slices.ContainsFunc(s.Problems, func(p campaign.Problem) bool { return p.Code == "duplicate-drop" }) {
		e.Code = api.CodeConflict
	}
	return outcome{Error: e}
}

// uploadResult returns the result by which the metrics count an upload that ended with err.
func uploadResult(ctx context.Context, uploaded api.Uploaded, err error) string {
	switch {
	case errors.Is(err, intake.ErrUploadBody):
		return control.UploadCut
	case ctx.Err() != nil:
		return control.UploadGone
	case err != nil:
		return string(api.CodeOf(uploadError(err)))
	case uploaded.State == campaign.StateChecking:
		return control.UploadChecking
	}
	return control.UploadAccepted
}

// fieldError is a mistake in one field of an upload.
func fieldError(field, message string) error {
	return &api.Error{Code: api.CodeInvalid, Message: fmt.Sprintf("the field %q %s", clip(field), message),
		Problems: []campaign.Problem{{Code: "field-invalid", Field: clip(field), Message: message}}}
}

// uploadError gives an error of intake its code.
func uploadError(err error) error {
	for kind, code := range map[error]api.Code{intake.ErrUploadTooLarge: api.CodeTooLarge, intake.ErrUploadFull: api.CodeFull,
		intake.ErrUploadSpace: api.CodeNoSpace, intake.ErrUploadBody: api.CodeInvalid} {
		if errors.Is(err, kind) {
			return &api.Error{Code: code, Message: err.Error()}
		}
	}
	if folders.IsAway(err) {
		return api.Unavailablef("the inbox isn't there at the moment, so nothing was taken in: its disk may not be mounted; try again later, and tell the operator if it lasts")
	}
	return err
}
