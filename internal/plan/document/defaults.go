package document

// Complete gives s the keys that it lacks and that defaults has. scheduleAt and delay count as one
// key: whoever gives either of them decides about the time. applicationId and campaignId are left
// to the caller, because a campaign's number means something only with its application.
func (s *Sidecar) Complete(defaults *Sidecar) {
	take := func(keys ...string) bool {
		had, has := false, false
		for _, key := range keys {
			had, has = had || s.Has(key), has || defaults.Has(key)
		}
		if had || !has {
			return false
		}
		if s.positions == nil {
			s.positions = map[string]position{}
		}
		if s.files == nil {
			s.files = map[string]string{}
		}
		for _, key := range keys {
			if defaults.Has(key) {
				s.positions[key], s.files[key] = position{}, defaults.File
			}
		}
		return true
	}
	if take("scheduleAt", "delay") {
		s.ScheduleAt, s.Delay = defaults.ScheduleAt, defaults.Delay
	}
	if take("slicingCondition") {
		s.SlicingCondition = defaults.SlicingCondition
	}
	if take("dryRun") {
		s.DryRun = defaults.DryRun
	}
	if take("resend") {
		s.Resend = defaults.Resend
	}
	if take("reference") {
		s.Reference = defaults.Reference
	}
}

// FileOf returns the file that key's value comes from, for messages: the sidecar, or where
// Complete took it from.
func (s *Sidecar) FileOf(key string) string {
	if file := s.files[key]; file != "" {
		return file
	}
	return s.File
}
