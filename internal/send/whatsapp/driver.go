package whatsapp

import (
	"errors"
	"math"
	"net/http"
	"strings"
	"time"

	"campaignd/internal/config"
	contacts "campaignd/internal/contact"
	"campaignd/internal/send"
)

// Settings are the values of the driver's keys.
type Settings struct {
	Options
	TokenFile     string // refers to Options.Token
	DailyContacts int    // 0: no limit
	// Both or none: with them, the webhooks of the number are accepted.
	AppSecretFile   string
	VerifyTokenFile string
}

// Driver describes the driver.
func Driver() config.Driver {
	return config.Driver{
		Name: "whatsapp", Meaning: "Sends through Meta's WhatsApp Cloud API",
		OnUnknown: send.HoldUnknown, Contacts: []contacts.Kind{contacts.Phone, contacts.Digits}, UserIDs: true, Traced: true, Webhooks: webhooks,
		Settings: func() config.Settings { return new(Settings) },
		Together: [][]string{{"app_secret_file", "verify_token_file"}},
		Keys:     keys(),
	}
}

func keys() []config.Key {
	return []config.Key{
		config.DriverKey("base_url", config.SecureURL(), func(s *Settings) *string { return &s.BaseURL },
			"Where the Cloud API is").Or(`"https://graph.facebook.com"`),
		config.DriverKey("version", config.Text("such as "+defaultVersion, apiVersion), func(s *Settings) *string { return &s.Version },
			"The version of the Cloud API").Or(`"` + defaultVersion + `"`),
		config.DriverKey("phone_number_id", config.Text("digits", numberID), func(s *Settings) *string { return &s.PhoneNumberID },
			"The id of the number that sends").Mandatory(),
		config.DriverKey("token_file", config.SecretFile(), func(s *Settings) *string { return &s.TokenFile },
			"The access token").Mandatory(),
		config.DriverKey("daily_contacts", config.Integer[int](0, 1_000_000_000), func(s *Settings) *int { return &s.DailyContacts },
			"The most different contacts in any 24 hours; 0 is no limit").Or(`0`),
		config.DriverKey("business_account_id", config.Text("digits", numberID), func(s *Settings) *string { return &s.BusinessAccountID },
			"The id of the WhatsApp business account; with it, drops are checked against the account's templates"),
		config.DriverKey("templates_refresh", config.Length(time.Minute, 24*time.Hour), func(s *Settings) *time.Duration { return &s.TemplatesRefresh },
			"How often the account's templates are read again").Or(`"10m"`),
		config.DriverKey("app_secret_file", config.SecretFile(), func(s *Settings) *string { return &s.AppSecretFile },
			"The app's secret, which signs the webhooks that tell what became of messages; without it none are taken"),
		config.DriverKey("verify_token_file", config.SecretFile(), func(s *Settings) *string { return &s.VerifyTokenFile },
			"The verify token that was made up for Meta's form; goes with app_secret_file"),
		config.DriverKey("timeout", config.Length(100*time.Millisecond, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Timeout },
			"How long one attempt may take").Or(`"30s"`),
	}
}

// Open implements config.Settings. The channel reads its token again when Meta refuses it.
func (s *Settings) Open(env config.Environment) (send.Channel, error) {
	o := s.Options
	o.Concurrency, o.Tracer, o.Records, o.Files = env.Concurrency, env.Tracer, env.Records, env.Media
	o.ReadToken = func() (string, error) { return env.Secret(s.TokenFile) }
	var err error
	if o.Token, err = o.ReadToken(); err != nil {
		return nil, err
	}
	if env.Contacts != nil {
		// Channels with the same number share its counts, across applications and after a channel is renamed.
		name := "whatsapp/" + s.PhoneNumberID
		if s.DailyContacts > 0 {
			o.Quota = env.Contacts(name, s.DailyContacts)
		}
		// Counters keep a contact for 24 hours, so one without a limit remembers refusals as long as they last.
		o.Refused = func(template string) config.ContactCounter {
			return env.Contacts(name+"/refused/"+template, math.MaxInt)
		}
	}
	return New(o)
}

// Reports implements config.Reporter.
func (s *Settings) Reports() (account string) {
	if s.AppSecretFile == "" {
		return ""
	}
	return s.PhoneNumberID
}

// webhooks returns the handler of all channels' webhooks.
func webhooks(channels []config.Settings, env config.WebhookEnvironment) (http.Handler, error) {
	var accounts []Account
	for _, ch := range channels {
		s := ch.(*Settings)
		secret, err := env.Secret(s.AppSecretFile)
		verify, err2 := env.Secret(s.VerifyTokenFile)
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		accounts = append(accounts, Account{PhoneNumberID: s.PhoneNumberID, BusinessAccountID: s.BusinessAccountID, AppSecret: secret, VerifyToken: verify})
	}
	return NewHooks(accounts, env.Receiver, env.Refused)
}

// ContactsPerDay implements config.DailyLimiter.
func (s *Settings) ContactsPerDay() int { return s.DailyContacts }

func apiVersion(s string) error {
	major, minor, ok := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	if !ok || !strings.HasPrefix(s, "v") || !isNumber(major) || !isNumber(minor) {
		return config.Found(s, `a version such as "`+defaultVersion+`"`)
	}
	return nil
}

func numberID(s string) error {
	if !isNumber(s) {
		return config.Found(s, "an id of digits")
	}
	return nil
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
