package config

import (
	"math"
	"time"
)

const day = 24 * time.Hour

func topKeys() []Key {
	return []Key{
		key(ScopeTop, "state_dir", text("", notEmpty), func(c *Config) *string { return &c.StateDir },
			"Folder of the store (campaignd.db) and the control socket (campaignd.sock)").or(`"var"`),
		key(ScopeTop, "campaigns_dir", text("", notEmpty), func(c *Config) *string { return &c.CampaignsDir },
			"Folder of the campaign files, *.json; they are read again when they change").or(`"configs/campaigns"`),
		key(ScopeTop, "listen", text("", address), func(c *Config) *string { return &c.Listen },
			"Address of health, metrics, API and dashboard over HTTP, empty for none; without a host it is 127.0.0.1").or(`""`),
		key(ScopeTop, "token_file", text("", secretRef), func(c *Config) *string { return &c.TokenFile },
			"Bearer token for HTTP; required if other machines can reach listen. Without it the daemon creates http_token in state_dir"),
		key(ScopeTop, "metrics_token", boolean(), func(c *Config) *bool { return &c.MetricsToken },
			"Whether /metrics needs the token even on loopback; beyond loopback it always does").or(`false`),
		keyList(ScopeTop, "trusted_proxies", texts("addresses or networks like 10.0.0.0/8", network), func(c *Config) *[]string { return &c.TrustedProxies },
			"Reverse proxies whose X-Forwarded-For names the caller, and which may have any number of connections"),
		key(ScopeTop, "socket_group", text("", nil), func(c *Config) *string { return &c.SocketGroup },
			"Group that may use the control socket; without it only the daemon's own user may"),
		key(ScopeTop, "rescan", text(`"10s", "every 10s" or a cron expression`, nil), func(c *Config) *string { return &c.RescanText },
			"Schedule on which every inbox is scanned, with or without file events").or(`"@every 10s"`),
		key(ScopeTop, "retention", length(0, 3650*day), func(c *Config) *time.Duration { return &c.Retention },
			"How long a finished sending's rows and results stay in the store and the folders; report.json stays, without contacts; 0s keeps everything").or(`"90d"`),
		key(ScopeTop, "housekeeping", text("cron expression", nil), func(c *Config) *string { return &c.HousekeepingText },
			"Schedule for removing data older than retention and adding late receipts to all reports, in the machine's time zone; with a retention under 24h it runs every minute").or(`"17 3 * * *"`),
		key(ScopeTop, "results_refresh", length(time.Second, time.Hour), func(c *Config) *time.Duration { return &c.ResultsRefresh },
			"How soon receipts and replies that arrive after a sending's end are in its files; more of them follow at growing intervals up to an hour, and those of more than 1,000,000 rows at housekeeping").or(`"5m"`),
		key(ScopeTop, "stop_timeout", length(0, time.Hour), func(c *Config) *time.Duration { return &c.StopTimeout },
			"How long messages in flight may take to finish at a stop").or(`"10s"`),
		key(ScopeTop, "retry_hold", length(time.Second, day), func(c *Config) *time.Duration { return &c.RetryHold },
			"After how long a held channel is tried again").or(`"5m"`),
		key(ScopeTop, "max_opt_outs", integer[int64](1, 1_000_000_000), func(c *Config) *int64 { return &c.MaxOptOuts },
			"The most opt-outs that are kept, of all applications together").or(`50000000`),
		key(ScopeLog, "level", oneOf("debug", "info", "warn", "error"), func(c *Config) *string { return &c.Log.Level },
			"The least important lines that are logged").or(`"info"`),
		key(ScopeLog, "format", oneOf("auto", "text", "json"), func(c *Config) *string { return &c.Log.Format },
			"How lines are written; auto is text on a terminal and JSON elsewhere").or(`"auto"`),
	}
}

func inboxKeys() []Key {
	return []Key{
		key(ScopeInbox, "path", text("", notEmpty), func(in *Inbox) *string { return &in.Path },
			"The folder that drops are put into; accepted/, done/ and failed/ are made inside it").required(),
		key(ScopeInbox, "application", integer[int64](1, math.MaxInt64), func(in *Inbox) *int64 { return &in.Application },
			"The application of drops whose sidecar names none"),
		key(ScopeInbox, "campaign", integer[int64](1, math.MaxInt64), func(in *Inbox) *int64 { return &in.Campaign },
			"The campaign of drops whose sidecar names none"),
		key(ScopeInbox, "layout", text(`a path, or "columns"`, notEmpty), func(in *Inbox) *string { return &in.Layout },
			"The layout of drops that bring none; with \"columns\" each variable of the campaign is the column of its name"),
		key(ScopeInbox, "schedule", sidecarKeys(), func(in *Inbox) *string { return &in.Schedule },
			"What a sidecar says where it doesn't say it itself, such as {slicingCondition = \"deferredConsecutiveSlots\", delay = \"PT1H\"}"),
		keyList(ScopeInbox, "contact_columns", texts("names of columns", notEmpty), func(in *Inbox) *[]string { return &in.ContactColumns },
			"With layout = \"columns\": the columns that may be the contactCode, in any case; the first that fits the channel's kind of contact is").
			or(`["contactCode", "phone", "telefono", "teléfono", "email"]`),
		key(ScopeInbox, "name_pattern", text("regular expression", namePattern), func(in *Inbox) *string { return &in.NamePattern },
			"What the NAME of every drop must look like as a whole; its groups campaign, application, scheduleAt and reference are read from it"),
		keyList(ScopeInbox, "allow_applications", list("list of integers", integer[int64](1, math.MaxInt64)), func(in *Inbox) *[]int64 { return &in.AllowApplications },
			"The applications that drops of this inbox may send for; without it all"),
		key(ScopeInbox, "settle", length(10*time.Millisecond, time.Hour), func(in *Inbox) *time.Duration { return &in.Settle },
			"How long a file must be unchanged before it is read").or(`"2s"`),
		key(ScopeInbox, "sidecar_wait", length(0, day), func(in *Inbox) *time.Duration { return &in.SidecarWait },
			"How long a settled CSV and layout wait for their sidecar").or(`"30s"`),
		key(ScopeInbox, "require_sidecar", boolean(), func(in *Inbox) *bool { return &in.RequireSidecar },
			"Whether a drop without a sidecar waits for one until pair_timeout, and is then rejected").or(`false`),
		key(ScopeInbox, "pair_timeout", length(time.Second, 30*day), func(in *Inbox) *time.Duration { return &in.PairTimeout },
			"How long an incomplete drop may wait for its other files before it is moved to failed/").or(`"1h"`),
		key(ScopeInbox, "unterminated_wait", length(0, day), func(in *Inbox) *time.Duration { return &in.UnterminatedWait },
			"How long a CSV whose last line has no line end must be quiet before it is accepted").or(`"1m"`),
		key(ScopeInbox, "note_after", length(0, day), func(in *Inbox) *time.Duration { return &in.NoteAfter },
			"How long a waiting or unknown file must be quiet before a note next to it says why; 0 turns notes off").or(`"1m"`),
		keyList(ScopeInbox, "ignore", texts("patterns with * ? [a-z]", pattern), func(in *Inbox) *[]string { return &in.Ignore },
			"File names that are ignored besides dot files and the usual temporary names"),
		key(ScopeInbox, "max_drops", integer[int](0, 1_000_000), func(in *Inbox) *int { return &in.MaxDrops },
			"The most drops of this inbox that may be taken in and not over yet; more wait, until pair_timeout; 0 is no limit").or(`10_000`),
		key(ScopeInbox, "max_pending_bytes", size(0, 1<<50), func(in *Inbox) *int64 { return &in.MaxPendingBytes },
			"The most bytes that the files of these drops may have together; a single larger drop is rejected; 0 is no limit").or(`"16GiB"`),
	}
}

func applicationKeys() []Key {
	return []Key{
		key(ScopeApplication, "id", integer[int64](1, math.MaxInt64), func(a *Application) *int64 { return &a.ID },
			"The number that sidecars and campaigns know it by").required(),
		key(ScopeApplication, "name", text("", nil), func(a *Application) *string { return &a.Name },
			"Its name for people"),
		key(ScopeApplication, "timezone", text("IANA name", zone), func(a *Application) *string { return &a.Timezone },
			"The zone of windows, of calendar durations and of a scheduleAt without an offset"),
		key(ScopeApplication, "country", text("ISO 3166-1 code", country), func(a *Application) *string { return &a.Country },
			"The country whose phone numbers may be written without country code, such as \"ES\"; without it every number needs its country code"),
		keyList(ScopeApplication, "windows", texts("cron expressions", nil), func(a *Application) *[]string { return &a.WindowTexts },
			"The minutes in which messages may go out, in timezone; without it all"),
		key(ScopeApplication, "max_rows", integer[int](1, 1_000_000_000), func(a *Application) *int { return &a.MaxRows },
			"The most data rows a CSV may have").or(`10_000_000`),
		key(ScopeApplication, "max_file_size", size(1, 1<<40), func(a *Application) *int64 { return &a.MaxFileSize },
			"The most bytes a CSV may have").or(`"2GiB"`),
		key(ScopeApplication, "max_bad_rows", share(), func(a *Application) *float64 { return &a.MaxBadRows },
			"The share of rejected rows beyond which the whole drop is rejected").or(`"10%"`),
		key(ScopeApplication, "dedupe", boolean(), func(a *Application) *bool { return &a.Dedupe },
			"Whether a contact that appears again on the same channel is sent to only once").or(`true`),
		key(ScopeApplication, "duplicate_window", length(0, 365*day), func(a *Application) *time.Duration { return &a.DuplicateWindow },
			"How long the same drop again is rejected; 0s never").or(`"24h"`),
		key(ScopeApplication, "schedule_grace", length(0, day), func(a *Application) *time.Duration { return &a.ScheduleGrace },
			"How far in the past a scheduleAt may be and still count as now").or(`"15m"`),
		key(ScopeApplication, "max_lateness", length(time.Second, 90*day), func(a *Application) *time.Duration { return &a.MaxLateness },
			"How long after its time an unsliced message is still sent").or(`"24h"`),
		key(ScopeSlicing, "enabled", boolean(), func(a *Application) *bool { return &a.Slicing.Enabled },
			"Whether sendings are sliced over slots").or(`false`),
		key(ScopeSlicing, "activation_recipients", integer[uint32](1, math.MaxUint32), func(a *Application) *uint32 { return &a.Slicing.ActivationRecipients },
			"From how many recipients on a sending is sliced").or(`1`),
		key(ScopeSlicing, "slot", wholeSeconds(length(time.Second, day)), func(a *Application) *time.Duration { return &a.Slicing.Slot },
			"The length of a slot; slots are aligned to the Unix epoch").or(`"5m"`),
		key(ScopeSlicing, "capacity", integer[uint32](1, 1_000_000_000), func(a *Application) *uint32 { return &a.Slicing.Capacity },
			"The messages a slot holds, shared by all sendings; required where enabled is true"),
		key(ScopeSlicing, "pacing", oneOf("even", "burst"), func(a *Application) *string { return &a.Slicing.Pacing },
			"Whether a slot's messages are spread over it or go out at its start").or(`"even"`),
	}
}

func channelKeys() []Key {
	return []Key{
		key(ScopeChannel, "driver", oneOf(Drivers()...), func(c *Channel) *string { return &c.Driver },
			"What does the sending; null sends nothing, calls it sent and is for measuring only").required(),
		key(ScopeChannel, "rate", number(0, 1_000_000), func(c *Channel) *float64 { return &c.Rate },
			"The most messages a second; 0 is no limit").or(`0`),
		key(ScopeChannel, "concurrency", integer[int](1, 10_000), func(c *Channel) *int { return &c.Concurrency },
			"The most messages in flight at once").or(`16`),
		key(ScopeChannel, "max_attempts", integer[int](1, 15), func(c *Channel) *int { return &c.MaxAttempts },
			"How often a message is attempted before it counts as failed").or(`6`),
		key(ScopeChannel, "retry_base", length(10*time.Millisecond, time.Hour), func(c *Channel) *time.Duration { return &c.RetryBase },
			"The wait before the second attempt; it doubles from one to the next").or(`"1s"`),
		key(ScopeChannel, "retry_max", length(10*time.Millisecond, day), func(c *Channel) *time.Duration { return &c.RetryMax },
			"The longest wait between two attempts").or(`"10m"`),
		key(ScopeChannel, "on_unknown", oneOf("retry", "hold"), func(c *Channel) *string { return &c.OnUnknown },
			"What to do with a message that may or may not have been sent: retry sends it again under the same key, hold leaves the decision to a person").
			or(`"retry"`).orBy(DriverWhatsApp, `"hold"`).orBy(DriverSMTP, `"hold"`),
		key(ScopeChannel, "refusals_in_a_row", integer[int](2, 1_000_000), func(c *Channel) *int { return &c.RefusalsInARow },
			"How many equal refusals in a row, without a success in between and not naming the recipient, hold a sending").or(`20`),
		key(ScopeChannel, "contacts", oneOf(contactKinds()...), func(c *Channel) *string { return &c.Contacts },
			"What a contactCode is: a phone number, sent with its country code; an email address; any text, sent as written; or digits that are no phone number of a country").
			or(`"any"`).orBy(DriverWhatsApp, `"phone"`).orBy(DriverSMTP, `"email"`),
	}
}
