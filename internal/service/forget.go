package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/display"
	"campaignd/internal/filing"
	"campaignd/internal/store"
)

const (
	// forgetWait limits Forget's wait for messages in flight.
	forgetWait = 30 * time.Second
	// forgetAgain is the time between two looks.
	forgetAgain = 200 * time.Millisecond
	// minForgotten is the length from which a spelling is overwritten within longer cells too.
	minForgotten = 6
)

// Forget implements control.Forgetting.
func (svc *Service) Forget(ctx context.Context, contact, who string) (api.Forgotten, error) {
	contact = strings.TrimSpace(contact)
	c := svc.Config()
	places := placesOf(c)
	names, err := svc.Store.NamesOf(contact)
	if err != nil {
		return api.Forgotten{}, err
	}
	var done api.Forgotten
	var had []campaign.ID
	for deadline := svc.Now().Add(forgetWait); ; {
		inFlight := uint64(0)
		for _, name := range names {
			f, err := svc.Store.Forget(ctx, name, places)
			done.Suppressed += f.Suppressed
			done.Unknown += f.Unknown
			inFlight += f.InFlight
			for _, id := range f.Sendings {
				if !slices.Contains(had, id) {
					had = append(had, id)
				}
			}
			if err != nil {
				return done, err
			}
		}
		if inFlight == 0 {
			break
		}
		if svc.Now().After(deadline) {
			return done, api.Conflictf("%s messages to the contact are in flight: nothing more is sent to it, but run the command again to remove their rows", display.Number(inFlight))
		}
		select {
		case <-ctx.Done():
			return done, ctx.Err()
		case <-time.After(forgetAgain):
		}
	}
	done.Sendings = len(had)
	svc.Dispatcher.Kick()
	for _, id := range had {
		if s, err := svc.Store.Header(id); err == nil && !s.State.Final() {
			svc.Keeper.Changed(id) // its status counts the message
		}
	}
	files, err := svc.Keeper.Forget(ctx, had, forgetter(c, svc.Version, names, places))
	done.Files = files
	if err == nil {
		_, err = svc.compact(ctx, who) // what was removed is still in the file's free pages
	}
	if errors.Is(err, store.ErrBusy) {
		return done, api.Conflictf("the contact is removed, but its data is still in the store's free space: %v", err)
	}
	if err != nil {
		return done, fmt.Errorf("forget a contact: %w; run the command again", err)
	}
	return done, svc.Store.Audit(store.AuditEntry{Who: who, Action: "forget",
		Detail: fmt.Sprintf("%s, %s, %s suppressed, %d unknown", display.Amount(done.Sendings, "sending"), display.Amount(files, "file"), display.Amount(done.Suppressed, "message"), done.Unknown)})
}

// placesOf lists the channels of all applications.
func placesOf(c *config.Config) (places []store.Place) {
	for i := range c.Applications {
		places = append(places, store.Place{Application: c.Applications[i].ID})
		for name := range c.Applications[i].Channels {
			places = append(places, store.Place{Application: c.Applications[i].ID, ChannelType: name})
		}
	}
	return places
}

// forgetter returns how the contact is recognized in files, by any of its names.
func forgetter(c *config.Config, version string, names []string, places []store.Place) *filing.Forgetter {
	rules := OptOutRules(c, version)
	keys := make([][][]byte, len(places)) // by place and name
	f := &filing.Forgetter{}
	var texts [][]byte
	for _, name := range names {
		texts = append(texts, []byte(name))
		for i, place := range places {
			key := rules.Key(nil, place.Application, place.ChannelType, []byte(name))
			keys[i] = append(keys[i], key)
			texts = append(texts, key)
		}
	}
	f.Same = func(cell []byte) bool {
		for i, place := range places {
			key := rules.Key(nil, place.Application, place.ChannelType, cell)
			if slices.ContainsFunc(keys[i], func(one []byte) bool { return bytes.Equal(one, key) }) {
				return true
			}
		}
		return false
	}
	slices.SortFunc(texts, bytes.Compare)
	for _, text := range slices.CompactFunc(texts, bytes.Equal) {
		if len(text) >= minForgotten {
			f.Texts = append(f.Texts, text)
		}
	}
	if key := keys[0][0]; len(names) == 1 && len(key) > minForgotten && len(bytes.Trim(key, "0123456789")) == 0 {
		f.Digits = key[len(key)-minForgotten:]
	}
	return f
}
