package daemon

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campaignd/internal/api"
)

// TestOptOutsFollowTheCountry: an opt-out counts in every spelling, and when the country of the
// application is set later, the numbers that were given without a calling code count too.
func TestOptOutsFollowTheCountry(t *testing.T) {
	scenario(t, at(9, 0), shop(1, "country = \"FR\"", "enabled = false")+"contacts = \"phone\"\n", func(t *testing.T, w *harness) {
		w.start()
		_, err := w.running.AddOptOuts(context.Background(), []api.OptOut{{ApplicationID: 1, ContactCode: "666 777 120"},
			{ApplicationID: 1, ChannelType: "push", ContactCode: "+34 (666) 777-121"}}, "test")
		w.check(err)
		optedOut := func(contact string) bool {
			out, err := w.running.store.OptedOut(1, "push", []byte(contact))
			w.check(err)
			return out
		}
		if !optedOut("0034666777121") {
			t.Error("an opt-out counts for another number than was given: optedOut(\"0034666777121\") = false, want true")
		}
		if optedOut("+34666777120") {
			t.Error("an opt-out counts for another number than was given: optedOut(\"+34666777120\") = true, want false")
		}
		text, err := os.ReadFile(filepath.Join(w.dir, "campaignd.toml"))
		w.check(err)
		w.write("campaignd.toml", strings.Replace(string(text), `"FR"`, `"ES"`, 1))
		w.check(w.running.Reload(context.Background(), "test"))
		for _, contact := range []string{"+34666777120", "666777120", "34666777121"} {
			if !optedOut(contact) {
				t.Errorf("%s has opted out, and isn't found", contact)
			}
		}
		w.shutdown()
		w.start() // with the file's former country
		if optedOut("+34666777120") {
			t.Error("the keys don't follow the country after a start: optedOut(\"+34666777120\") = true, want false")
		}
		if !optedOut("34666777121") {
			t.Error("the keys don't follow the country after a start: optedOut(\"34666777121\") = false, want true")
		}
	})
}
