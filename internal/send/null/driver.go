package null

import (
	"campaignd/internal/config"
	"campaignd/internal/send"
)

// batch is the largest number of messages in one Send, the same as the outbox's.
const batch = 1024

// Settings are empty: the driver has no keys.
type Settings struct{}

// Driver describes the driver.
func Driver() config.Driver {
	return config.Driver{
		Name: "null", Meaning: "Sends nothing and calls it sent; for measuring only",
		OnUnknown: send.RetryUnknown, Silent: true,
		Settings: func() config.Settings { return new(Settings) },
	}
}

// Open implements config.Settings.
func (s *Settings) Open(config.Environment) (send.Channel, error) { return New(batch), nil }
