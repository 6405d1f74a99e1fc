package config

import (
	"math"
	"time"

	"campaignd/internal/contact"
	"campaignd/internal/send"
)

const day = 24 * time.Hour

func topKeys() []Key {
	return []Key{
		key(ScopeTop, "state_dir", Text("", notEmpty), func(c *Config) *string { return &c.StateDir },
			"Folder of the store (campaignd.db) and the control socket (campaignd.sock)").Or(`"var"`),
		key(ScopeTop, "campaigns_dir", Text("", notEmpty), func(c *Config) *string { return &c.CampaignsDir },
			"Folder of the campaign files, *.json; they are read again when they change").Or(`"configs/campaigns"`),
		key(ScopeTop, "listen", Text("", address), func(c *Config) *string { return &c.Listen },
			"Address of health, metrics, API and dashboard over HTTP, empty for none; without a host it is 127.0.0.1").Or(`""`),
		key(ScopeTop, "token_file", SecretFile(), func(c *Config) *string { return &c.TokenFile },
			"Bearer token for HTTP; required if other machines can reach listen. Without it the daemon creates http_token in state_dir"),
		key(ScopeTop, "metrics_token", Boolean(), func(c *Config) *bool { return &c.MetricsToken },
			"Whether /metrics needs the token even on loopback; beyond loopback it always does").Or(`false`),
		key(ScopeTop, "trusted_proxies", Texts("addresses or networks like 10.0.0.0/8", network), func(c *Config) *[]string { return &c.TrustedProxies },
			"Reverse proxies whose X-Forwarded-For names the caller, and which may have any number of connections"),
		key(ScopeTop, "socket_group", Text("", nil), func(c *Config) *string { return &c.SocketGroup },
			"Group that may use the control socket; without it only the daemon's own user may"),
		key(ScopeTop, "rescan", Text(`"10s", "every 10s" or a cron expression`, nil), func(c *Config) *string { return &c.RescanText },
			"Schedule on which every inbox is scanned, with or without file events").Or(`"@every 10s"`),
		key(ScopeTop, "retention", Length(0, 3650*day), func(c *Config) *time.Duration { return &c.Retention },
			"How long a finished sending's rows and results stay in the store and the folders; report.json stays, without contacts; 0s keeps everything").Or(`"90d"`),
		key(ScopeTop, "housekeeping", Text("cron expression", nil), func(c *Config) *string { return &c.HousekeepingText },
			"Schedule for removing data older than retention and adding late receipts to all reports, in the machine's time zone; with a retention under 24h it runs every minute").Or(`"17 3 * * *"`),
		key(ScopeTop, "results_refresh", Length(time.Second, time.Hour), func(c *Config) *time.Duration { return &c.ResultsRefresh },
			"How soon receipts and replies that arrive after a sending's end are in its files; more of them follow at growing intervals up to an hour, and those of more than 1,000,000 rows at housekeeping").Or(`"5m"`),
		key(ScopeTop, "stop_timeout", Length(0, time.Hour), func(c *Config) *time.Duration { return &c.StopTimeout },
			"How long messages in flight may take to finish at a stop").Or(`"10s"`),
		key(ScopeTop, "retry_hold", Length(time.Second, day), func(c *Config) *time.Duration { return &c.RetryHold },
			"After how long a held channel is tried again").Or(`"5m"`),
		key(ScopeTop, "max_opt_outs", Integer[int64](1, 1_000_000_000), func(c *Config) *int64 { return &c.MaxOptOuts },
			"The most opt-outs that are kept, of all applications together").Or(`50000000`),
		key(ScopeLog, "level", OneOf("debug", "info", "warn", "error"), func(c *Config) *string { return &c.Log.Level },
			"The least important lines that are logged").Or(`"info"`),
		key(ScopeLog, "format", OneOf("auto", "text", "json"), func(c *Config) *string { return &c.Log.Format },
			"How lines are written; auto is text on a terminal and JSON elsewhere").Or(`"auto"`),
	}
}

func natsKeys() []Key {
	return []Key{
		key(ScopeNATS, "servers", natsServers(), func(n *NATS) *[]string { return &n.Servers },
			"The NATS servers with JetStream; tls:// checks their certificates against the machine's authorities").Mandatory(),
		key(ScopeNATS, "credentials_file", SecretFile(), func(n *NATS) *string { return &n.CredentialsFile },
			"The credentials: the content of a .creds file, or user:password; without it there are none"),
		key(ScopeNATS, "name", Text("1 to 32 letters, digits, _ and -", clusterName), func(n *NATS) *string { return &n.Name },
			"The name that the hub and its workers share; another name is another cluster, also on the same servers").Or(`"campaignd"`),
		key(ScopeNATS, "replicas", Integer[int](1, 5), func(n *NATS) *int { return &n.Replicas },
			"How many servers keep each stream; 1 with a single server").Or(`3`),
		key(ScopeNATS, "monitoring", natsMonitors(), func(n *NATS) *[]string { return &n.Monitoring },
			"The servers' HTTP monitoring (http_port of NATS), where doctor asks whether they sync every write; without it that isn't checked"),
	}
}

func standbyKeys() []Key {
	return []Key{
		key(ScopeStandby, "lease", Length(time.Second, time.Minute), func(s *Standby) *time.Duration { return &s.Lease },
			"How long after the last sign of the hub the standby takes over").Or(`"3s"`),
		key(ScopeStandby, "replication", OneOf(ReplicationRequired, ReplicationBestEffort, ReplicationOff), func(s *Standby) *string { return &s.Replication },
			"Whether a commit waits until NATS has it for the standby: required waits, best-effort doesn't, off writes nothing to NATS").Or(quote(ReplicationRequired)),
	}
}

func inboxKeys() []Key {
	return []Key{
		key(ScopeInbox, "path", Text("", notEmpty), func(in *Inbox) *string { return &in.Path },
			"The folder that drops are put into; accepted/, done/ and failed/ are made inside it").Mandatory(),
		key(ScopeInbox, "application", Integer[int64](1, math.MaxInt64), func(in *Inbox) *int64 { return &in.Application },
			"The application of drops whose sidecar names none"),
		key(ScopeInbox, "campaign", Integer[int64](1, math.MaxInt64), func(in *Inbox) *int64 { return &in.Campaign },
			"The campaign of drops whose sidecar names none"),
		key(ScopeInbox, "layout", Text(`a path, or "columns"`, notEmpty), func(in *Inbox) *string { return &in.Layout },
			"The layout of drops that bring none; with \"columns\" each variable of the campaign is the column of its name"),
		key(ScopeInbox, "schedule", sidecarKeys(), func(in *Inbox) *string { return &in.Schedule },
			"What a sidecar says where it doesn't say it itself, such as {slicingCondition = \"deferredConsecutiveSlots\", delay = \"PT1H\"}"),
		key(ScopeInbox, "contact_columns", Texts("names of columns", notEmpty), func(in *Inbox) *[]string { return &in.ContactColumns },
			"With layout = \"columns\": the columns that may be the contactCode, in any case; the first that fits the channel's kind of contact is").
			Or(`["contactCode", "phone", "telefono", "teléfono", "email"]`),
		key(ScopeInbox, "name_pattern", Text("regular expression", namePattern), func(in *Inbox) *string { return &in.NamePattern },
			"What the NAME of every drop must look like as a whole; its groups campaign, application, scheduleAt and reference are read from it"),
		key(ScopeInbox, "allow_applications", List("list of integers", Integer[int64](1, math.MaxInt64)), func(in *Inbox) *[]int64 { return &in.AllowApplications },
			"The applications that drops of this inbox may send for; without it all"),
		key(ScopeInbox, "allow_campaigns", List("list of integers", Integer[int64](1, math.MaxInt64)), func(in *Inbox) *[]int64 { return &in.AllowCampaigns },
			"The numbers of the campaigns that drops of this inbox may send; without it all of these applications"),
		key(ScopeInbox, "settle", Length(10*time.Millisecond, time.Hour), func(in *Inbox) *time.Duration { return &in.Settle },
			"How long a file must be unchanged before it is read").Or(`"2s"`),
		key(ScopeInbox, "sidecar_wait", Length(0, day), func(in *Inbox) *time.Duration { return &in.SidecarWait },
			"How long a settled CSV and layout wait for their sidecar").Or(`"30s"`),
		key(ScopeInbox, "require_sidecar", Boolean(), func(in *Inbox) *bool { return &in.RequireSidecar },
			"Whether a drop without a sidecar waits for one until pair_timeout, and is then rejected").Or(`false`),
		key(ScopeInbox, "pair_timeout", Length(time.Second, 30*day), func(in *Inbox) *time.Duration { return &in.PairTimeout },
			"How long an incomplete drop may wait for its other files before it is moved to failed/").Or(`"1h"`),
		key(ScopeInbox, "unterminated_wait", Length(0, day), func(in *Inbox) *time.Duration { return &in.UnterminatedWait },
			"How long a CSV whose last line has no line end must be quiet before it is accepted").Or(`"1m"`),
		key(ScopeInbox, "note_after", Length(0, day), func(in *Inbox) *time.Duration { return &in.NoteAfter },
			"How long a waiting or unknown file must be quiet before a note next to it says why; 0 turns notes off").Or(`"1m"`),
		key(ScopeInbox, "ignore", Texts("patterns with * ? [a-z]", pattern), func(in *Inbox) *[]string { return &in.Ignore },
			"File names that are ignored besides dot files and the usual temporary names"),
		key(ScopeInbox, "max_drops", Integer[int](0, 1_000_000), func(in *Inbox) *int { return &in.MaxDrops },
			"The most drops of this inbox that may be taken in and not over yet; more wait, until pair_timeout; 0 is no limit").Or(`10_000`),
		key(ScopeInbox, "max_pending_bytes", Size(0, 1<<50), func(in *Inbox) *int64 { return &in.MaxPendingBytes },
			"The most bytes that the files of these drops may have together; a single larger drop is rejected; 0 is no limit").Or(`"16GiB"`),
		key(ScopeInbox, "token_file", SecretFile(), func(in *Inbox) *string { return &in.TokenFile },
			"The partner's bearer token for HTTP: it may upload drops into this inbox, and see and control what came from it, and nothing else; without it the partner has no access"),
		key(ScopeInbox, "notify_url", WebURL(), func(in *Inbox) *string { return &in.NotifyURL },
			"The http or https URL that is told the end of each drop (completed, canceled or rejected); without it nobody is told"),
		key(ScopeInbox, "notify_secret_file", SecretFile(), func(in *Inbox) *string { return &in.NotifySecretFile },
			"The secret that signs these requests (Standard Webhooks: base64, with or without whsec_); required with notify_url"),
	}
}

func applicationKeys() []Key {
	return []Key{
		key(ScopeApplication, "id", Integer[int64](1, math.MaxInt64), func(a *Application) *int64 { return &a.ID },
			"The number that sidecars and campaigns know it by").Mandatory(),
		key(ScopeApplication, "name", Text("", nil), func(a *Application) *string { return &a.Name },
			"Its name for people"),
		key(ScopeApplication, "timezone", Text("IANA name", zone), func(a *Application) *string { return &a.Timezone },
			"The zone of windows, of calendar durations and of a scheduleAt without an offset"),
		key(ScopeApplication, "country", Text("ISO 3166-1 code", country), func(a *Application) *string { return &a.Country },
			"The country whose phone numbers may be written without country code, such as \"ES\"; without it every number needs its country code"),
		key(ScopeApplication, "windows", Texts("cron expressions", nil), func(a *Application) *[]string { return &a.WindowTexts },
			"The minutes in which messages may go out, in timezone; without it all"),
		key(ScopeApplication, "max_rows", Integer[int](1, 1_000_000_000), func(a *Application) *int { return &a.MaxRows },
			"The most data rows a CSV may have").Or(`10_000_000`),
		key(ScopeApplication, "max_file_size", Size(1, 1<<40), func(a *Application) *int64 { return &a.MaxFileSize },
			"The most bytes a CSV may have").Or(`"2GiB"`),
		key(ScopeApplication, "max_bad_rows", share(), func(a *Application) *float64 { return &a.MaxBadRows },
			"The share of rejected rows beyond which the whole drop is rejected").Or(`"10%"`),
		key(ScopeApplication, "dedupe", Boolean(), func(a *Application) *bool { return &a.Dedupe },
			"Whether a contact that appears again on the same channel is sent to only once").Or(`true`),
		key(ScopeApplication, "duplicate_window", Length(0, 365*day), func(a *Application) *time.Duration { return &a.DuplicateWindow },
			"How long the same drop again is rejected; 0s never").Or(`"24h"`),
		key(ScopeApplication, "schedule_grace", Length(0, day), func(a *Application) *time.Duration { return &a.ScheduleGrace },
			"How far in the past a scheduleAt may be and still count as now").Or(`"15m"`),
		key(ScopeApplication, "max_lateness", Length(time.Second, 90*day), func(a *Application) *time.Duration { return &a.MaxLateness },
			"How long after its time an unsliced message is still sent").Or(`"24h"`),
		key(ScopeSlicing, "enabled", Boolean(), func(a *Application) *bool { return &a.Slicing.Enabled },
			"Whether sendings are sliced over slots").Or(`false`),
		key(ScopeSlicing, "activation_recipients", Integer[uint32](1, math.MaxUint32), func(a *Application) *uint32 { return &a.Slicing.ActivationRecipients },
			"From how many recipients on a sending is sliced").Or(`1`),
		key(ScopeSlicing, "slot", wholeSeconds(Length(time.Second, day)), func(a *Application) *time.Duration { return &a.Slicing.Slot },
			"The length of a slot; slots are aligned to the Unix epoch").Or(`"5m"`),
		key(ScopeSlicing, "capacity", Integer[uint32](1, 1_000_000_000), func(a *Application) *uint32 { return &a.Slicing.Capacity },
			"The messages a slot holds, shared by all sendings; required where enabled is true"),
		key(ScopeSlicing, "pacing", OneOf("even", "burst"), func(a *Application) *string { return &a.Slicing.Pacing },
			"Whether a slot's messages are spread over it or go out at its start").Or(`"even"`),
	}
}

// channelKeys returns the keys of every channel, with the defaults of driver d, which may be nil.
func channelKeys(drivers []Driver, d *Driver) []Key {
	onUnknown, contacts := send.RetryUnknown, contact.Any
	if d != nil {
		onUnknown = d.OnUnknown
		if d.Contacts != nil {
			contacts = d.Contacts[0]
		}
	}
	return []Key{
		key(ScopeChannel, "driver", OneOf(driverNames(drivers)...), func(c *Channel) *string { return &c.Driver },
			"What does the sending").Mandatory(),
		key(ScopeChannel, "rate", Number(0, 1_000_000), func(c *Channel) *float64 { return &c.Rate },
			"The most messages a second; 0 is no limit").Or(`0`),
		key(ScopeChannel, "concurrency", Integer[int](1, 10_000), func(c *Channel) *int { return &c.Concurrency },
			"The most messages in flight at once").Or(`16`),
		key(ScopeChannel, "max_attempts", Integer[int](1, 15), func(c *Channel) *int { return &c.MaxAttempts },
			"How often a message is attempted before it counts as failed").Or(`6`),
		key(ScopeChannel, "retry_base", Length(10*time.Millisecond, time.Hour), func(c *Channel) *time.Duration { return &c.RetryBase },
			"The wait before the second attempt; it doubles from one to the next").Or(`"1s"`),
		key(ScopeChannel, "retry_max", Length(10*time.Millisecond, day), func(c *Channel) *time.Duration { return &c.RetryMax },
			"The longest wait between two attempts").Or(`"10m"`),
		key(ScopeChannel, "on_unknown", OneOf(string(send.RetryUnknown), string(send.HoldUnknown)), func(c *Channel) *string { return &c.OnUnknown },
			"What to do with a message that may or may not have been sent: retry sends it again under the same key, hold leaves the decision to a person").Or(quote(string(onUnknown))),
		key(ScopeChannel, "refusals_in_a_row", Integer[int](2, 1_000_000), func(c *Channel) *int { return &c.RefusalsInARow },
			"How many equal refusals in a row, without a success in between and not naming the recipient, hold a sending").Or(`20`),
		key(ScopeChannel, "send_from", OneOf(FromHere, FromWorkers), func(c *Channel) *string { return &c.SendFrom },
			"Who sends: here is the daemon itself, workers are the machines that run campaignd worker; that needs [nats]").Or(quote(FromHere)),
		key(ScopeChannel, "batch", Integer[int](1, 64), func(c *Channel) *int { return &c.Batch },
			"With workers: the most messages that one takes at a time").Or(`64`),
		key(ScopeChannel, "answer_wait", Length(time.Second, time.Hour), func(c *Channel) *time.Duration { return &c.AnswerWait },
			"With workers: how long after the last sign of a worker its messages are unknown").Or(`"1m"`),
		key(ScopeChannel, "contacts", OneOf(contactKinds()...), func(c *Channel) *string { return &c.Contacts },
			"What a contactCode is: a phone number, sent with its country code; an email address; any text, sent as written; or digits that are no phone number of a country").Or(quote(contacts.String())),
		key(ScopeChannel, "stop_words", Texts("words", stopWord), func(c *Channel) *[]string { return &c.StopWords },
			"Replies that opt the contact out if they contain nothing else; case and punctuation don't matter; only whatsapp with app_secret_file receives replies").
			Or(`["stop", "unsubscribe", "baja"]`),
	}
}
