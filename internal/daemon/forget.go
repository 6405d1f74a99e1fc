package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"campaignd/internal/campaign"
	"campaignd/internal/config"
	"campaignd/internal/control"
	"campaignd/internal/intake"
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
func (d *Daemon) Forget(ctx context.Context, contact, who string) (control.Forgotten, error) {
	contact = strings.TrimSpace(contact)
	c := d.current()
	places := placesOf(c)
	var done control.Forgotten
	var had []campaign.ID
	for deadline := d.now().Add(forgetWait); ; {
		f, err := d.store.Forget(ctx, contact, places)
		done.Suppressed += f.Suppressed
		done.Unknown += f.Unknown
		for _, id := range f.Sendings {
			if !slices.Contains(had, id) {
				had = append(had, id)
			}
		}
		if err != nil {
			return done, err
		}
		if f.InFlight == 0 {
			break
		}
		if d.now().After(deadline) {
			return done, control.Conflictf("%d messages to the contact are in flight: nothing more is sent to it, but run the command again to remove their rows", f.InFlight)
		}
		timer := time.NewTimer(forgetAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return done, ctx.Err()
		case <-timer.C:
		}
	}
	done.Sendings = len(had)
	d.send.Kick()
	files, err := d.intake.Forget(ctx, had, forgetter(c, d.opts.Version, contact, places))
	done.Files = files
	if err == nil {
		_, err = d.compact(ctx, who) // what was removed is still in the file's free pages
	}
	if errors.Is(err, store.ErrBusy) {
		return done, control.Conflictf("the contact is removed, but its data is still in the store's free space: %v", err)
	}
	if err != nil {
		return done, fmt.Errorf("forget a contact: %w; run the command again", err)
	}
	return done, d.store.Audit(store.AuditEntry{Who: who, Action: "forget",
		Detail: fmt.Sprintf("%d sendings, %d files, %d messages suppressed, %d unknown", done.Sendings, files, done.Suppressed, done.Unknown)})
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

// forgetter returns how the contact is recognized in files.
func forgetter(c *config.Config, version, contact string, places []store.Place) *intake.Forgetter {
	rules := optOutRules(c, version)
	keys := make([][]byte, len(places))
	f := &intake.Forgetter{}
	texts := [][]byte{[]byte(contact)}
	for i, place := range places {
		keys[i] = rules.Key(nil, place.Application, place.ChannelType, []byte(contact))
		texts = append(texts, keys[i])
	}
	f.Same = func(cell []byte) bool {
		for i, place := range places {
			if bytes.Equal(rules.Key(nil, place.Application, place.ChannelType, cell), keys[i]) {
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
	if key := keys[0]; len(key) > minForgotten && len(bytes.Trim(key, "0123456789")) == 0 {
		f.Digits = key[len(key)-minForgotten:]
	}
	return f
}
