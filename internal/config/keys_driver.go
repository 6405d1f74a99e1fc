package config

import "time"

// driverKeys returns the keys that some drivers have and others refuse.
func driverKeys() []Key {
	const s = ScopeChannel
	return []Key{
		key(s, "path", text("", notEmpty), func(c *Channel) *string { return &c.Path },
			"The file that gets one JSON line a message").of(DriverOutbox).required(),

		key(s, "url", maskedURL(text("http or https", webURL)), func(c *Channel) *string { return &c.URL },
			"Where messages are posted to").of(DriverWebhook).required(),
		keyHeaders(s, "headers", func(c *Channel) *map[string]string { return &c.Headers },
			"HTTP headers that go with every message, as {Name = \"value\"}; the values of those that look like credentials are not shown").of(DriverWebhook),
		key(s, "secret_file", text("", secretRef), func(c *Channel) *string { return &c.SecretFile },
			"Secret that signs every message as the Standard Webhooks specification says").of(DriverWebhook),
		key(s, "timeout", length(100*time.Millisecond, 10*time.Minute), func(c *Channel) *time.Duration { return &c.Timeout },
			"How long one attempt may take").of(DriverWebhook, DriverWhatsApp, DriverSMTP).
			or(`"30s"`).orBy(DriverWebhook, `"10s"`),

		key(s, "base_url", maskedURL(text("https, or http to this machine", secureURL)), func(c *Channel) *string { return &c.BaseURL },
			"Where the Cloud API is").of(DriverWhatsApp).or(`"https://graph.facebook.com"`),
		key(s, "version", text("such as v23.0", apiVersion), func(c *Channel) *string { return &c.Version },
			"The version of the Cloud API").of(DriverWhatsApp).or(`"v23.0"`),
		key(s, "phone_number_id", text("digits", digits), func(c *Channel) *string { return &c.PhoneNumberID },
			"The id of the number that sends").of(DriverWhatsApp).required(),
		key(s, "token_file", text("", secretRef), func(c *Channel) *string { return &c.TokenFile },
			"The access token").of(DriverWhatsApp).required(),
		key(s, "daily_contacts", integer[int](0, 1_000_000_000), func(c *Channel) *int { return &c.DailyContacts },
			"The most different contacts in any 24 hours; 0 is no limit").of(DriverWhatsApp).or(`0`),
		key(s, "app_secret_file", text("", secretRef), func(c *Channel) *string { return &c.AppSecretFile },
			"The app's secret, which signs the webhooks that tell what became of messages; without it none are taken").of(DriverWhatsApp),
		key(s, "verify_token_file", text("", secretRef), func(c *Channel) *string { return &c.VerifyTokenFile },
			"The verify token that was made up for Meta's form; goes with app_secret_file").of(DriverWhatsApp),

		key(s, "host", text("host name or IP address", hostName), func(c *Channel) *string { return &c.Host },
			"The mail server").of(DriverSMTP).required(),
		key(s, "port", integer[int](1, 65535), func(c *Channel) *int { return &c.Port },
			"Its port; with tls = \"tls\" usually 465").of(DriverSMTP).or(`587`),
		key(s, "tls", oneOf("starttls", "tls", "none"), func(c *Channel) *string { return &c.TLS },
			"How the connection is secured: by STARTTLS, from its first byte, or not at all").of(DriverSMTP).or(`"starttls"`),
		key(s, "username", text("", nil), func(c *Channel) *string { return &c.Username },
			"The account that logs in; without it there is no login").of(DriverSMTP),
		key(s, "password_file", text("", secretRef), func(c *Channel) *string { return &c.PasswordFile },
			"The password of username").of(DriverSMTP),
		key(s, "from", text("mail address", mailAddress), func(c *Channel) *string { return &c.From },
			"The sender, as \"shop@example.com\" or \"Shop <shop@example.com>\"").of(DriverSMTP).required(),
		key(s, "reply_to", text("mail address", mailAddress), func(c *Channel) *string { return &c.ReplyTo },
			"Where replies go; from if unset").of(DriverSMTP),
		key(s, "list_unsubscribe", text("mailto: or https:", unsubscribe), func(c *Channel) *string { return &c.ListUnsubscribe },
			"The address of the List-Unsubscribe header (RFC 2369); {{key}} and {{contact}} in it stand for the message's key and the address it goes to").of(DriverSMTP),
		key(s, "dkim_domain", text("domain", hostName), func(c *Channel) *string { return &c.DKIMDomain },
			"The domain that messages are signed for (DKIM); without it they are not signed here").of(DriverSMTP),
		key(s, "dkim_selector", text("name", selector), func(c *Channel) *string { return &c.DKIMSelector },
			"The selector under which the domain publishes the key").of(DriverSMTP),
		key(s, "dkim_key_file", text("", secretRef), func(c *Channel) *string { return &c.DKIMKeyFile },
			"The private key in PEM, RSA or Ed25519").of(DriverSMTP),
	}
}
