// Package drivers lists the drivers that a channel may name. A driver describes itself in its
// own package; its line here is all that makes it known to the rest of the program.
package drivers

import (
	"campaignd/internal/config"
	"campaignd/internal/send/null"
	"campaignd/internal/send/outbox"
	"campaignd/internal/send/smtp"
	"campaignd/internal/send/webhook"
	"campaignd/internal/send/whatsapp"
)

// All returns the drivers in the order in which they are documented.
func All() []config.Driver {
	return []config.Driver{
		outbox.Driver(),
		webhook.Driver(),
		whatsapp.Driver(),
		smtp.Driver(),
		null.Driver(),
	}
}
