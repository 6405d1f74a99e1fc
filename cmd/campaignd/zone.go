package main

import (
	"time"

	"campaignd/internal/config"
)

// useZone sets the time zone in which the command shows times: the one that the applications
// share, or UTC if they don't or --utc is given. No application means all of them. An
// application without a time zone counts as UTC, as for its drops (docs/contract.md 5).
func (env *environment) useZone(cfg *config.Config, applications ...int64) {
	env.zone = time.UTC
	if env.utc {
		return
	}
	if len(applications) == 0 {
		for _, a := range cfg.Applications {
			applications = append(applications, a.ID)
		}
	}
	var shared *time.Location
	for _, id := range applications {
		zone := time.UTC
		if a := cfg.Application(id); a != nil && a.Location != nil {
			zone = a.Location
		}
		if shared != nil && shared.String() != zone.String() {
			return
		}
		shared = zone
	}
	if shared != nil {
		env.zone = shared
	}
}
