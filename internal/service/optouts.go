package service

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/check"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/optouts"
	"campaignd/internal/source"
	"campaignd/internal/store"
)

// optOutStore has the contacts that want no messages, and forgets contacts.
type optOutStore interface {
	optouts.Adder
	RemoveOptOut(application int64, channelType, contactCode string) (bool, error)
	EachOptOut(application int64, fn func(store.OptOut) error) error
	OptOuts() (uint64, error)
	OptedOut(application int64, channelType string, contactCode []byte) (bool, error)
	UnmatchedReplies() (deleted uint64, since time.Time, waiting int, err error)
	ContactOfUserID(string) (string, error)
	NamesOf(contact string) ([]string, error)
	Forget(ctx context.Context, contact string, places []store.Place) (store.Forgotten, error)
}

// applicationIDs returns the application of an opt-out, or all configured ones for 0.
func (svc *Service) applicationIDs(application int64) ([]int64, error) {
	c := svc.Config()
	if application != 0 {
		if c.Application(application) == nil {
			return nil, api.NotFoundf("there is no application %d", application)
		}
		return []int64{application}, nil
	}
	var ids []int64
	for _, a := range c.Applications {
		ids = append(ids, a.ID)
	}
	return ids, nil
}

// AddOptOuts implements control.OptOuts.
func (svc *Service) AddOptOuts(_ context.Context, list []api.OptOut, who string) (int, error) {
	var all []store.OptOut
	for i, one := range list {
		ids, err := svc.applicationIDs(one.ApplicationID)
		if err != nil {
			return 0, err
		}
		if err := knownChannel(svc.Config(), ids, one.ChannelType); err != nil {
			return 0, err
		}
		if refused := svc.Config().OptOutContacts(ids)(one.ChannelType, []byte(one.ContactCode)); refused != "" {
			return 0, api.Invalidf("nobody is opted out: contact %d of %d is not a contact: %s", i+1, len(list), refused)
		}
		for _, id := range ids {
			all = append(all, store.OptOut{ApplicationID: id, ChannelType: one.ChannelType, ContactCode: one.ContactCode,
				At: svc.Now().UTC(), Source: who})
		}
	}
	n, err := svc.Store.AddOptOuts(all)
	if err != nil {
		return 0, err
	}
	return n, svc.Store.Audit(store.AuditEntry{Who: who, Action: "suppress", Detail: fmt.Sprintf("%s, %d new", display.Amount(len(all), "opt-out"), n)})
}

// knownChannel refuses the name of a channel that none of the applications has. "" is every channel.
func knownChannel(c *config.Config, applications []int64, channel string) error {
	names := c.ChannelNames(applications)
	if channel == "" || slices.Contains(names, channel) {
		return nil
	}
	return api.Invalidf("there is no channel %q; there are: %s%s", channel, strings.Join(names, ", "), source.DidYouMean(channel, names))
}

// RemoveOptOuts implements control.OptOuts.
func (svc *Service) RemoveOptOuts(_ context.Context, list []api.OptOut, who string) (int, error) {
	removed := 0
	for _, one := range list {
		ids, err := svc.applicationIDs(one.ApplicationID)
		if err != nil {
			return removed, err
		}
		for _, id := range ids {
			was, err := svc.Store.RemoveOptOut(id, one.ChannelType, one.ContactCode)
			if err != nil {
				return removed, err
			}
			if was {
				removed++
			}
		}
	}
	return removed, svc.Store.Audit(store.AuditEntry{Who: who, Action: "unsuppress", Detail: display.Amount(removed, "opt-out") + " removed"})
}

// OptOuts implements control.OptOuts.
func (svc *Service) OptOuts(_ context.Context, application int64, yield func(api.OptOut) error) error {
	return svc.Store.EachOptOut(application, func(s store.OptOut) error {
		return yield(api.OptOut{ApplicationID: s.ApplicationID, ChannelType: s.ChannelType, ContactCode: s.ContactCode, At: s.At, Source: s.Source})
	})
}

// ImportOptOuts implements control.OptOuts. It buffers the list in an unlinked
// temporary file, because its encoding is known only at its end.
func (svc *Service) ImportOptOuts(ctx context.Context, application int64, csv io.Reader, who string) (api.Imported, error) {
	ids, err := svc.applicationIDs(application)
	if err != nil {
		return api.Imported{}, err
	}
	f, err := check.SpillFile(svc.Config().StateDir)
	if err != nil {
		return api.Imported{}, err
	}
	defer f.Close()
	if _, err := io.Copy(f, csv); err != nil {
		return api.Imported{}, fmt.Errorf("read the list: %w", err)
	}
	list := optouts.List{Name: "list", Config: svc.Config(), Applications: ids, Source: who}
	done, err := list.Import(ctx, svc.Store, f)
	if err != nil {
		return api.Imported{}, err
	}
	imported := api.Imported{Rows: done.OptOuts, Added: done.Added, Problems: done.Problems.List, Rejected: done.Refused, RejectedLines: done.Lines}
	return imported, svc.Store.Audit(store.AuditEntry{Who: who, Action: "suppress", Detail: fmt.Sprintf("list of %s, %d new", display.Amount(done.OptOuts, "opt-out"), done.Added)})
}
