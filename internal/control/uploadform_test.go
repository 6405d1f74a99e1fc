package control

import (
	"testing"

	"campaignd/internal/campaign"
	"campaignd/internal/plan/document"
)

const uploadPattern = "POST /v1/applications/{applicationId}/campaigns/{campaignId}/send/csv"

// uploadForm describes the parts of an upload.
func uploadForm() object {
	text := func(about string) object { return object{"type": "string", "description": about} }
	file := func(about string) object { return object{"type": "string", "format": "binary", "description": about} }
	return object{"type": "object", "required": []any{"file", "layout"}, "properties": object{
		"file":             file("NAME.csv; its file name gives the drop its name if there is no field name"),
		"layout":           file("NAME.layout.json"),
		"name":             text("NAME of the drop"),
		"inbox":            text("with an operator's token only, before the files: path of the inbox as configured, or the last part of it; it may be left out if there is only one"),
		"scheduleAt":       text("as in the sidecar, like the fields below"),
		"delay":            text("ISO 8601 duration"),
		"slicingCondition": enumOf(campaign.Conditions),
		"rows":             text("number of data rows"),
		"bytes":            text("size of the CSV"),
		"sha256":           text("SHA-256 of the CSV in hexadecimal"),
		"dryRun":           text("true or false"),
		"resend":           text("true or false"),
		"reference":        text("echoed in reports"),
	}}
}

// The endpoint takes every key of a sidecar but those of the address.
func TestUploadFormHasEveryKeyOfASidecar(t *testing.T) {
	described := uploadForm()["properties"].(object)
	for _, key := range document.SidecarKeys() {
		if _, ok := described[key]; !ok && key != "applicationId" && key != "campaignId" {
			t.Errorf("uploadForm doesn't describe %s", key)
		}
	}
}
