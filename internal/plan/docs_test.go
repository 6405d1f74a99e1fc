package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"campaignd/internal/calendar"
	"campaignd/internal/campaign"
)

// TestPagesNameEveryCondition: partners and operators find each slicing condition.
func TestPagesNameEveryCondition(t *testing.T) {
	for _, name := range []string{"docs/contract.md", "docs/slicing.md", "inbox/README.md"} {
		page, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range campaign.Conditions {
			if !strings.Contains(string(page), string(c)) {
				t.Errorf("%s doesn't name %s", name, c)
			}
		}
	}
}

// TestSlicingPage holds the numbers of docs/slicing.md to what is done.
func TestSlicingPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/slicing.md")
	if err != nil {
		t.Fatal(err)
	}
	g := Grid{Slot: 10 * time.Minute, Capacity: 100}
	first := g.Number(noon())
	b := reservedCounts{first + 1: 60, first + 2: 100, first + 3: 30}
	place := func(g Grid, b reservedCounts, at time.Time, c campaign.Condition, recipients uint32, messages int) (string, error) {
		placed, err := g.Place(b, Request{T: at, Until: at.Add(Horizon), Condition: c, Recipients: recipients, Messages: messages})
		return draw(g, placed), err
	}
	for _, tt := range []struct {
		at         time.Time
		b          reservedCounts
		condition  campaign.Condition
		recipients uint32
		messages   int
		want       string
	}{
		{noon().Add(5 * time.Minute), reservedCounts{first: 40}, campaign.FragmentedSlots, 130, 1, "0:30 1:100"},
		{noon(), reservedCounts{}, campaign.FragmentedSlots, 34, 3, "0:33 1:1"},
		{noon(), b, campaign.FragmentedSlots, 250, 1, "0:100 1:40 3:70 4:40"},
		{noon(), b, campaign.DeferredConsecutiveSlots, 250, 1, "3:70 4:100 5:80"},
		{noon().Add(10*time.Minute - 11900*time.Millisecond), reservedCounts{}, campaign.ImmediateConsecutiveSlots, 70, 2, "1:50 2:20"},
	} {
		if got, err := place(g, tt.b, tt.at, tt.condition, tt.recipients, tt.messages); got != tt.want || err != nil {
			t.Errorf("%d recipients as %s: got %s, %v, want %s", tt.recipients, tt.condition, got, err, tt.want)
		}
	}

	// The advice is quoted, broken into lines.
	a, err := g.Advise(b, Request{T: noon(), Until: noon().Add(Horizon), Condition: campaign.ImmediateConsecutiveSlots, Recipients: 250, Messages: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), a.Reason) {
		t.Errorf("the page doesn't quote the advice as it is: %s", a.Reason)
	}

	if g.Windows, err = calendar.ParseWindows([]string{"* 9-20 * * MON-SAT"}, nil); err != nil {
		t.Fatal(err)
	}
	saturday := time.Date(2026, 3, 7, 20, 40, 0, 0, time.UTC)
	monday := g.Number(time.Date(2026, 3, 9, 9, 0, 0, 0, time.UTC))
	for c, want := range map[campaign.Condition][]int64{
		campaign.FragmentedSlots:          {g.Number(saturday), g.Number(saturday) + 1, monday, monday + 1, monday + 2},
		campaign.DeferredConsecutiveSlots: {monday, monday + 1, monday + 2, monday + 3, monday + 4},
	} {
		placed, err := g.Place(reservedCounts{}, Request{T: saturday, Until: saturday.Add(Horizon), Condition: c, Recipients: 450, Messages: 1})
		if err != nil || len(placed) != len(want) {
			t.Fatalf("Saturday night as %s: %v, %v", c, placed, err)
		}
		for i, p := range placed {
			if p.Slot != want[i] {
				t.Errorf("Saturday night as %s: slice %d is in slot %d, want %d", c, i, p.Slot, want[i])
			}
		}
	}
}
