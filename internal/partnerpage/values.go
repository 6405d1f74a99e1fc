package partnerpage

import (
	"regexp"
	"slices"
	"strings"

	"campaignd/internal/campaign"
)

// exampleValues returns the values that are tried in turn for a campaign's variables, until its channel's rules are
// kept: first each variable's own, by its place and its name, then the same for all of them.
func exampleValues(contents []campaign.Content) []func(variable string) string {
	list := []func(string) string{func(variable string) string { return exampleValue(variable, contents) }}
	for _, same := range []string{"Ada", "1", exampleAddress, "2026-01-31"} {
		list = append(list, func(string) string { return same })
	}
	return list
}

const exampleAddress = "https://example.com/a"

// exampleWords holds words in the names of variables with the value that such a variable has.
func exampleWords() []struct{ value, words string } {
	return []struct{ value, words string }{
		{exampleAddress, "url link enlace web href"},
		{"2026-01-31", "date fecha day dia birthday cumple"},
		{"09:30", "time hora hour"},
		{"49.90", "amount importe total price precio euros cost coste sum saldo balance"},
		{"1234", "number numero num nr order pedido code codigo id ref reference referencia ticket otp pin"},
		{"34666777888", "phone tel telefono mobile movil"},
		{"ada@example.com", "email mail correo"},
		{"Ada", "name nombre first firstname cliente customer user usuario contact contacto"},
	}
}

// exampleValue returns a value for a variable: an address where it is a whole address, otherwise one that its name
// suggests, or the name itself.
func exampleValue(variable string, contents []campaign.Content) string {
	place := `\{\{\s*` + regexp.QuoteMeta(variable) + `\s*\}\}`
	whole, within := regexp.MustCompile(`(?i)"(url|link|href)"\s*:\s*"`+place+`"`), regexp.MustCompile(`(?i)https?://[^"\s]*`+place)
	for _, content := range contents {
		switch {
		case whole.Match(content.Item):
			return exampleAddress
		case within.Match(content.Item):
			return "1234"
		}
	}
	words := nameWords(variable)
	for _, one := range exampleWords() {
		if slices.ContainsFunc(strings.Fields(one.words), func(word string) bool { return slices.Contains(words, word) }) {
			return one.value
		}
	}
	return variable
}

// nameWords splits a variable's name into its words: order_date and orderDate are "order" and "date". The last comes
// first in other languages, so their order says nothing.
func nameWords(variable string) []string {
	spaced := regexp.MustCompile(`([a-z])([A-Z])|_|(\d+)`).ReplaceAllString(variable, "$1 $2")
	return strings.Fields(strings.ToLower(spaced))
}
