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

// codeMeaning is the reaction to one of Meta's codes, and a text for people: what happened and what to do.
type codeMeaning struct {
	code  int64
	react action
	words string
}

// meaning returns the action for Meta's code, and its text. Sources differ about the HTTP status of a code, so
// only the code decides.
func meaning(code int64) (action, string) {
	if code >= 200 && code <= 299 {
		return holdChannel, "the token lacks a permission: give its user whatsapp_business_messaging and access to the number"
	}
	for _, m := range meanings() {
		if m.code == code {
			return m.react, m.words
		}
	}
	return unlisted, "WhatsApp refused the message"
}

// meanings lists the codes that have a meaning of their own.
func meanings() []codeMeaning {
	return []codeMeaning{
		// Rates.
		{4, throttle, "the app makes too many calls"},
		{613, throttle, "the WhatsApp business account makes too many calls"},
		{80007, throttle, "the WhatsApp business account makes too many calls"},
		{130429, throttle, "the number sends faster than WhatsApp allows it: lower the channel's rate"},
		{131056, throttleContact, "too many messages to the same contact in a short time"},

		// Meta's own service.
		{1, ambiguous, "WhatsApp had an unknown error"},
		{2, ambiguous, "WhatsApp's service was not available"},
		{131016, ambiguous, "WhatsApp's service was not available"},
		{133004, ambiguous, "WhatsApp's service was not available"},
		{131000, ambiguous, "something went wrong at WhatsApp"},
		{131057, ambiguous, "the WhatsApp business account is in maintenance"},

		// The account, its number and its token.
		{0, holdToken, "WhatsApp doesn't accept the access token: put a valid one into token_file"},
		{190, holdToken, "the access token has expired or was revoked: put a new one into token_file"},
		{3, holdChannel, "the app or its token lacks a permission: give it whatsapp_business_messaging"},
		{10, holdChannel, "the app or its token lacks a permission: give it whatsapp_business_messaging"},
		{131005, holdChannel, "access denied: the token lacks a permission, or the number belongs to another account"},
		{368, holdChannel, "the account is blocked for a time for breaking WhatsApp's rules: see WhatsApp Manager"},
		{131031, holdChannel, "the account is locked, for breaking a rule or a wrong PIN: see WhatsApp Manager"},
		{131042, holdChannel, "the account can't pay: fix its payment method in WhatsApp Manager"},
		{131045, holdChannel, "the number's registration is not valid: register it again"},
		{33, holdChannel, "WhatsApp doesn't know the sending number: check phone_number_id"},
		{131037, holdChannel, "the sending number's display name is not approved: see WhatsApp Manager"},
		{131048, holdChannel, "WhatsApp limits the number because too many of its messages were blocked or reported as spam: see its quality in WhatsApp Manager"},
		{130497, holdChannel, "the account may not send to this country"},
		{133010, holdChannel, "the number is not registered with the Cloud API: register it"},

		// Templates.
		{132000, holdSending, "the campaign has another number of values than the template: fix the campaign"},
		{132001, holdSending, "there is no approved template of this name in this language: check the campaign's name and language"},
		{132005, holdSending, "the template's text with its values is too long: shorten it"},
		{132007, holdSending, "the template violates WhatsApp's rules: see WhatsApp Manager"},
		{132012, holdSending, "the campaign's values have another format than the template's: fix the campaign"},
		{132069, later, "WhatsApp limits the template's flow for now"},
		{134101, later, "WhatsApp is still preparing the template for marketing messages"},
		{132015, holdSending, "WhatsApp has paused the template for its low quality: edit it in WhatsApp Manager, or wait"},
		{132016, holdSending, "WhatsApp has disabled the template for its low quality: create another one"},

		// The message and its contact.
		{100, permanent, "WhatsApp found something invalid in the message"},
		{130472, badContact, "WhatsApp excludes this contact from marketing in an experiment"},
		{131008, permanent, "WhatsApp says that a part of the message is missing"},
		{131009, permanent, "WhatsApp found an invalid value"},
		{131021, badContact, "the contact is the number that sends"},
		{131026, badContact, "WhatsApp can't deliver to this contact: the number has no WhatsApp, an old version, or hasn't agreed to its terms"},
		{131062, permanent, "this kind of message can't be sent to a user id"},
		{131047, permanent, "the contact last wrote more than 24 hours ago: only a template may be sent"},
		{131051, permanent, "WhatsApp doesn't accept this type of message"},
		{131052, permanent, "WhatsApp couldn't read the file that the message refers to"},
		{131053, permanent, "WhatsApp can't use the message's file: its type or content isn't what WhatsApp takes"},
		{132018, permanent, "a template's value is empty, has a line break or tab, or too many spaces in a row"},
		{131049, refusedToday, "WhatsApp didn't deliver because this contact gets much marketing: not again within 24 hours"},
		{131050, optedOut, "the contact has stopped marketing from this number"},
	}
}
