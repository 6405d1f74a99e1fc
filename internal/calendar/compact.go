package calendar

// Punctuate returns a date-time that was written without hyphens or colons, such as
// "20251001T1215Z", in the form that ParseInstant reads: "2025-10-01T12:15Z". File names can't
// have colons everywhere. Any other text is returned as it is.
func Punctuate(text string) string {
	date, rest := "", ""
	for _, shape := range []string{"0000-00-00T", "00000000T"} {
		if len(text) >= len(shape) && shaped(text[:len(shape)], shape) {
			date, rest = text[:len(shape)-1], text[len(shape):]
		}
	}
	if date == "" {
		return text
	}
	if len(date) == len("00000000") {
		date = date[:4] + "-" + date[4:6] + "-" + date[6:]
	}
	for _, shape := range []string{"000000", "0000"} {
		if len(rest) >= len(shape) && shaped(rest[:len(shape)], shape) {
			clock := rest[:2] + ":" + rest[2:4]
			if len(shape) == len("000000") {
				clock += ":" + rest[4:6]
			}
			return date + "T" + clock + rest[len(shape):]
		}
	}
	return date + "T" + rest
}
