package document

import "campaignd/internal/campaign"

// ParseCampaign reads a campaign file (SPEC 6). The campaign is nil only where
// the JSON is broken; with Count > 0 it must not be used.
func ParseCampaign(file string, data []byte) (*campaign.Campaign, campaign.Problems) {
	panic("being built")
}

// Variables are the variables that contents use, in order of first use.
func Variables(contents []campaign.Content) []string { panic("being built") }
