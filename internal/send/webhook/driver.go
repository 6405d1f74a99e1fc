package webhook

import (
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"campaignd/internal/config"
	"campaignd/internal/send"
)

// Settings are the values of the driver's keys.
type Settings struct {
	Options
	SecretFile string // refers to Options.Secret
}

// Driver describes the driver.
func Driver() config.Driver {
	headers := config.Headers(headerKey, standardwebhooks.HeaderWebhookID, standardwebhooks.HeaderWebhookTimestamp, standardwebhooks.HeaderWebhookSignature)
	return config.Driver{
		Name: "webhook", Meaning: "POSTs one JSON object per message to a URL",
		OnUnknown: send.RetryUnknown, Traced: true,
		Settings: func() config.Settings { return new(Settings) },
		Keys: []config.Key{
			config.DriverKey("url", config.WebURL(), func(s *Settings) *string { return &s.URL },
				"Where messages are posted to").Mandatory(),
			config.DriverKey("headers", headers, func(s *Settings) *map[string]string { return &s.Headers },
				"HTTP headers that go with every message, as {Name = \"value\"}; the values of those that look like credentials are not shown"),
			config.DriverKey("secret_file", config.SecretFile(), func(s *Settings) *string { return &s.SecretFile },
				"Secret that signs every message as the Standard Webhooks specification says"),
			config.DriverKey("timeout", config.Length(100*time.Millisecond, 10*time.Minute), func(s *Settings) *time.Duration { return &s.Timeout },
				"How long one attempt may take").Or(`"10s"`),
		},
	}
}

// Open implements config.Settings.
func (s *Settings) Open(env config.Environment) (send.Channel, error) {
	o := s.Options
	o.Concurrency, o.Tracer = env.Concurrency, env.Tracer
	var err error
	if o.Secret, err = env.Secret(s.SecretFile); err != nil {
		return nil, err
	}
	return New(o)
}
