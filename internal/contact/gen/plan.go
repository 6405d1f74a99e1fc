package main

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxDigits is the longest number with its calling code (ITU-T E.164, 6).
const maxDigits = 15

// argentina writes its national prefix in full national formats but not in lists of numbers, so a
// number without it counts as complete (docs/contract.md 4).
const argentina = "AR"

// A callingCode has the numbering plans of the regions that share it.
type callingCode struct {
	digits  string
	regions []*phonenumbers.PhoneMetadata // the main one first
	lengths uint32                        // bit n: a national number may have n digits
	start   uint16                        // state before the first digit of the national number
}

// callingCodes groups the regions by calling code, in ascending order of the code's digits.
func callingCodes(all []*phonenumbers.PhoneMetadata) []*callingCode {
	byDigits := map[string]*callingCode{}
	for _, m := range all {
		digits := strconv.Itoa(int(m.GetCountryCode()))
		c := byDigits[digits]
		if c == nil {
			c = &callingCode{digits: digits}
			byDigits[digits] = c
		}
		c.regions = append(c.regions, m)
		for _, n := range m.GetGeneralDesc().GetPossibleLength() {
			if n > 0 && int(n)+len(digits) <= maxDigits {
				c.lengths |= 1 << n
			}
		}
	}
	codes := slices.SortedFunc(maps.Values(byDigits), func(a, b *callingCode) int { return cmp.Compare(a.digits, b.digits) })
	for _, c := range codes {
		slices.SortStableFunc(c.regions, func(a, b *phonenumbers.PhoneMetadata) int {
			switch {
			case a.GetMainCountryForCode() == b.GetMainCountryForCode():
				return cmp.Compare(a.GetId(), b.GetId())
			case a.GetMainCountryForCode():
				return -1
			}
			return 1
		})
	}
	return codes
}

// kinds returns the kinds of numbers that make a number valid, as phonenumbers.IsValidNumber has them.
func kinds(m *phonenumbers.PhoneMetadata) []*phonenumbers.PhoneNumberDesc {
	return []*phonenumbers.PhoneNumberDesc{
		m.GetPremiumRate(), m.GetTollFree(), m.GetSharedCost(), m.GetVoip(), m.GetPersonalNumber(),
		m.GetPager(), m.GetUan(), m.GetVoicemail(), m.GetFixedLine(), m.GetMobile(),
	}
}

// startsWithPrefix reports whether a national format begins with the national prefix, as "0$1", "(0$1)" and "8 ($1)" do.
func startsWithPrefix(m *phonenumbers.PhoneMetadata, f *phonenumbers.NumberFormat) bool {
	return m.GetId() != argentina && m.GetNationalPrefix() != "" &&
		strings.HasPrefix(strings.TrimLeft(f.GetNationalPrefixFormattingRule(), "("), m.GetNationalPrefix())
}
