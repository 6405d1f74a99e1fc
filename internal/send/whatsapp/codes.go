package whatsapp

// action is the driver's reaction to a code.
type action uint8

const (
	unlisted        action = iota
	throttle               // certainly not sent; the whole channel is too fast
	throttleContact        // certainly not sent; this contact gets too many
	ambiguous              // unknown whether it was sent
	holdToken              // holds the channel, unless there is a newer token
	holdChannel
	holdSending
	later        // certainly not sent; a temporary condition that isn't the channel's
	permanent    // permanent for this message
	badContact   // permanent, and the contact is the reason
	refusedToday // as badContact, and not again within 24 h
	optedOut     // as badContact, and the contact has opted out
)

// meaning returns the action for Meta's code, and a text for people: what happened and
// what to do. Sources differ about the HTTP status of a code, so only the code decides.
func meaning(code int64) (action, string) {
	if code >= 200 && code <= 299 {
		return holdChannel, "the token lacks a permission: give its user whatsapp_business_messaging and access to the number"
	}
	for _, about := range []func(int64) (action, string){rateMeaning, serverMeaning, accountMeaning, templateMeaning, messageMeaning} {
		if a, words := about(code); a != unlisted {
			return a, words
		}
	}
	return unlisted, "WhatsApp refused the message"
}

func rateMeaning(code int64) (action, string) {
	switch code {
	case 4:
		return throttle, "the app makes too many calls"
	case 613, 80007:
		return throttle, "the WhatsApp business account makes too many calls"
	case 130429:
		return throttle, "the number sends faster than WhatsApp allows it: lower the channel's rate"
	case 131056:
		return throttleContact, "too many messages to the same contact in a short time"
	}
	return unlisted, ""
}

func serverMeaning(code int64) (action, string) {
	switch code {
	case 1:
		return ambiguous, "WhatsApp had an unknown error"
	case 2, 131016, 133004:
		return ambiguous, "WhatsApp's service was not available"
	case 131000:
		return ambiguous, "something went wrong at WhatsApp"
	case 131057:
		return ambiguous, "the WhatsApp business account is in maintenance"
	}
	return unlisted, ""
}

func accountMeaning(code int64) (action, string) {
	switch code {
	case 0:
		return holdToken, "WhatsApp doesn't accept the access token: put a valid one into token_file"
	case 190:
		return holdToken, "the access token has expired or was revoked: put a new one into token_file"
	case 3, 10:
		return holdChannel, "the app or its token lacks a permission: give it whatsapp_business_messaging"
	case 131005:
		return holdChannel, "access denied: the token lacks a permission, or the number belongs to another account"
	case 368:
		return holdChannel, "the account is blocked for a time for breaking WhatsApp's rules: see WhatsApp Manager"
	case 131031:
		return holdChannel, "the account is locked, for breaking a rule or a wrong PIN: see WhatsApp Manager"
	case 131042:
		return holdChannel, "the account can't pay: fix its payment method in WhatsApp Manager"
	case 131045:
		return holdChannel, "the number's registration is not valid: register it again"
	case 33:
		return holdChannel, "WhatsApp doesn't know the sending number: check phone_number_id"
	case 131037:
		return holdChannel, "the sending number's display name is not approved: see WhatsApp Manager"
	case 131048:
		return holdChannel, "WhatsApp limits the number because too many of its messages were blocked or reported as spam: see its quality in WhatsApp Manager"
	case 130497:
		return holdChannel, "the account may not send to this country"
	case 133010:
		return holdChannel, "the number is not registered with the Cloud API: register it"
	}
	return unlisted, ""
}

func templateMeaning(code int64) (action, string) {
	switch code {
	case 132000:
		return holdSending, "the campaign has another number of values than the template: fix the campaign"
	case 132001:
		return holdSending, "there is no approved template of this name in this language: check the campaign's name and language"
	case 132005:
		return holdSending, "the template's text with its values is too long: shorten it"
	case 132007:
		return holdSending, "the template violates WhatsApp's rules: see WhatsApp Manager"
	case 132012:
		return holdSending, "the campaign's values have another format than the template's: fix the campaign"
	case 132069:
		return later, "WhatsApp limits the template's flow for now"
	case 134101:
		return later, "WhatsApp is still preparing the template for marketing messages"
	case 132015:
		return holdSending, "WhatsApp has paused the template for its low quality: edit it in WhatsApp Manager, or wait"
	case 132016:
		return holdSending, "WhatsApp has disabled the template for its low quality: create another one"
	}
	return unlisted, ""
}

func messageMeaning(code int64) (action, string) {
	switch code {
	case 100:
		return permanent, "WhatsApp found something invalid in the message"
	case 130472:
		return badContact, "WhatsApp excludes this contact from marketing in an experiment"
	case 131008:
		return permanent, "WhatsApp says that a part of the message is missing"
	case 131009:
		return permanent, "WhatsApp found an invalid value"
	case 131021:
		return badContact, "the contact is the number that sends"
	case 131026:
		return badContact, "WhatsApp can't deliver to this contact: the number has no WhatsApp, an old version, or hasn't agreed to its terms"
	case 131062:
		return permanent, "this kind of message can't be sent to a user id"
	case 131047:
		return permanent, "the contact last wrote more than 24 hours ago: only a template may be sent"
	case 131051:
		return permanent, "WhatsApp doesn't accept this type of message"
	case 131052:
		return permanent, "WhatsApp couldn't read the file that the message refers to"
	case 131053:
		return permanent, "WhatsApp can't use the message's file: its type or content isn't what WhatsApp takes"
	case 132018:
		return permanent, "a template's value is empty, has a line break or tab, or too many spaces in a row"
	case 131049:
		return refusedToday, "WhatsApp didn't deliver because this contact gets much marketing: not again within 24 hours"
	case 131050:
		return optedOut, "the contact has stopped marketing from this number"
	}
	return unlisted, ""
}
