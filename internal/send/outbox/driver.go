package outbox

import (
	"campaignd/internal/config"
	"campaignd/internal/send"
)

// Settings are the values of the driver's keys.
type Settings struct {
	Path string // of the file
}

// Driver describes the driver.
func Driver() config.Driver {
	return config.Driver{
		Name: "outbox", Meaning: "Appends one JSON line per message to a file; use it to try things",
		OnUnknown: send.RetryUnknown,
		Settings:  func() config.Settings { return new(Settings) },
		Keys: []config.Key{
			config.DriverKey("path", config.OutputFile(), func(s *Settings) *string { return &s.Path },
				"The file that gets one JSON line a message").Mandatory(),
		},
	}
}

// Open implements config.Settings.
func (s *Settings) Open(config.Environment) (send.Channel, error) { return New(s.Path), nil }
