package whatsapp

// act is what a code asks for.
type act uint8

const (
	unlisted   act = iota
	throttle       // surely not sent; the whole channel is too fast
	throttleTo     // surely not sent; this contact gets too many
	maybe          // sent or not, no one can tell
	holdToken      // holds the channel, unless there is a newer token
	holdChannel
	holdSending
	never    // permanent for this message
	notToday // permanent, and not again within 24 h
	optedOut // permanent, and the contact goes on the suppression list
)

// meaning is what Meta's code asks for, and what it says in words for a person:
// what happened and what to do. HTTP statuses differ between sources for the same
// code, so the code alone decides.
func meaning(code int64) (act, string) {
	if code >= 200 && code <= 299 {
		return holdChannel, "the token lacks a permission: give its user whatsapp_business_messaging and access to the number"
	}
	for _, about := range []func(int64) (act, string){ofRate, ofServer, ofAccount, ofTemplate, ofMessage} {
		if a, words := about(code); a != unlisted {
			return a, words
		}
	}
	return unlisted, "WhatsApp refused the message"
}

func ofRate(code int64) (act, string) {
	switch code {
	case 4:
		return throttle, "the app makes too many calls"
	case 613, 80007:
		return throttle, "the WhatsApp business account makes too many calls"
	case 130429:
		return throttle, "the number sends faster than WhatsApp allows it: lower the channel's rate"
	case 131056:
		return throttleTo, "too many messages to the same contact in a short time"
	}
	return unlisted, ""
}

func ofServer(code int64) (act, string) {
	switch code {
	case 1:
		return maybe, "WhatsApp had an unknown error"
	case 2, 131016, 133004:
		return maybe, "WhatsApp's service was not available"
	case 131000:
		return maybe, "something went wrong at WhatsApp"
	case 131057:
		return maybe, "the WhatsApp business account is in maintenance"
	}
	return unlisted, ""
}

func ofAccount(code int64) (act, string) {
	switch code {
	case 0:
		return holdToken, "WhatsApp can't tell who asks: put a good access token into token_file"
	case 190:
		return holdToken, "the access token has expired or was revoked: put a new one into token_file"
	case 3, 10:
		return holdChannel, "the app or its token lacks a permission: give it whatsapp_business_messaging"
	case 131005:
		return holdChannel, "access denied: the token lacks a permission or the number isn't its own"
	case 368:
		return holdChannel, "the account is blocked for a time for breaking WhatsApp's rules: see WhatsApp Manager"
	case 131031:
		return holdChannel, "the account is locked, for breaking a rule or a wrong PIN: see WhatsApp Manager"
	case 131042:
		return holdChannel, "the account can't pay: mend its payment method in WhatsApp Manager"
	case 131045:
		return holdChannel, "the number's registration is not in order: register it again"
	case 131048:
		return holdChannel, "WhatsApp limits the number because too many of its messages were blocked or reported as spam: see its quality in WhatsApp Manager"
	case 130497:
		return holdChannel, "the account may not send to this country"
	case 133010:
		return holdChannel, "the number is not registered with the Cloud API: register it"
	}
	return unlisted, ""
}

func ofTemplate(code int64) (act, string) {
	switch code {
	case 132000:
		return holdSending, "the campaign gives the template another number of values than it has: mend the campaign"
	case 132001:
		return holdSending, "there is no approved template of this name in this language: check the campaign's name and language"
	case 132005:
		return holdSending, "the template's text with its values is too long: shorten it"
	case 132007:
		return holdSending, "the template breaks WhatsApp's rules: see WhatsApp Manager"
	case 132012:
		return holdSending, "the campaign gives the template's values in another form than it has: mend the campaign"
	case 132015:
		return holdSending, "WhatsApp has paused the template for its low quality: edit it in WhatsApp Manager, or wait"
	case 132016:
		return holdSending, "WhatsApp has disabled the template for its low quality: make another one"
	}
	return unlisted, ""
}

func ofMessage(code int64) (act, string) {
	switch code {
	case 100:
		return never, "WhatsApp found something in the message that it doesn't take"
	case 130472:
		return never, "WhatsApp leaves this contact out of marketing as part of an experiment"
	case 131008:
		return never, "WhatsApp misses a part of the message"
	case 131009:
		return never, "WhatsApp found a value that it doesn't take"
	case 131021:
		return never, "the contact is the number that sends"
	case 131026:
		return never, "WhatsApp can't deliver to this contact: the number has no WhatsApp, an old version, or hasn't agreed to its terms"
	case 131047:
		return never, "the contact last wrote more than 24 hours ago: only a template may be sent"
	case 131051:
		return never, "WhatsApp doesn't take this kind of message"
	case 132018:
		return never, "a template's value is empty, has a line break or tab, or too many spaces in a row"
	case 131049:
		return notToday, "WhatsApp didn't deliver, to keep this contact from too much marketing: not again within 24 hours"
	case 131050:
		return optedOut, "the contact wants no marketing from this number any more"
	}
	return unlisted, ""
}
