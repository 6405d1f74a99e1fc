package document

// Complete gives s the keys that it lacks and that defaults has. scheduleAt and delay count as one
// key: whoever gives either of them decides about the time. applicationId and campaignId are left
// to the caller, because a campaign's number means something only with its application; only their
// file is noted, for messages.
func (s *Sidecar) Complete(defaults *Sidecar) {
	take := func(keys ...string) bool {
		had, has := false, false
		for _, key := range keys {
			had, has = had || s.Has(key), has || defaults.Has(key)
		}
		if had || !has {
			return false
		}
		for _, key := range keys {
			if defaults.Has(key) {
				s.position(key)
				s.from(key, defaults.File)
			}
		}
		return true
	}
	for key, value := range map[string]*int64{"applicationId": defaults.ApplicationID, "campaignId": defaults.CampaignID} {
		if s.Has(key) || s.files[key] != "" || !defaults.Has(key) {
			continue
		}
		s.from(key, defaults.File)
		if value == nil { // it is there and couldn't be read, which is reported
			s.position(key)
		}
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

// position notes that s has a key whose place in its file is unknown.
func (s *Sidecar) position(key string) {
	if s.positions == nil {
		s.positions = map[string]position{}
	}
	s.positions[key] = position{}
}

// from notes the file that key's value comes from.
func (s *Sidecar) from(key, file string) {
	if s.files == nil {
		s.files = map[string]string{}
	}
	s.files[key] = file
}

// FileOf returns the file that key's value comes from, for messages: the sidecar, or where
// Complete took it from.
func (s *Sidecar) FileOf(key string) string {
	if file := s.files[key]; file != "" {
		return file
	}
	return s.File
}
