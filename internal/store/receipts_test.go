package store

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/campaign"
	"campaignd/internal/store/db"
	"campaignd/internal/store/optout"
)

// receipts makes a sending of ten sent messages with the provider ids wamid.0 to wamid.9.
func receipts(t *testing.T, s *Store) *campaign.Sending {
	t.Helper()
	head := accept(t, s, draft{rows: 10, receipts: true}, nil)
	for i := range 10 {
		commit(t, s, entry(head.ID, i, 1, campaign.InFlight, 1))
		e := entry(head.ID, i, 1, campaign.Sent, 1)
		e.Provider = fmt.Sprint("wamid.", i)
		commit(t, s, e)
	}
	return head
}

func reportOf(head *campaign.Sending, line uint32, state campaign.DeliveryState, at int64) Receipt {
	return Receipt{Applications: []int64{head.ApplicationID}, Key: campaign.Key(head.ID, head.Tag, line, 1), State: state, At: time.Unix(at, 0).UTC()}
}

// TestDeliveriesAnyOrder: the furthest state counts, in any order of arrival.
func TestDeliveriesAnyOrder(t *testing.T) {
	s := openTest(t)
	head := receipts(t, s)
	const d, r, f = campaign.Delivered, campaign.Read, campaign.Undelivered
	for line, order := range map[uint32][]campaign.DeliveryState{2: {d, r}, 3: {r, d}, 4: {d, d}, 5: {f, d}, 6: {r, f, d, r}, 7: {f, f}, 8: {campaign.NoReceipt}} {
		for i, state := range order {
			if _, err := s.RecordReceipts([]Receipt{reportOf(head, line, state, int64(100*line)+int64(i))}); err != nil {
				t.Fatal(err)
			}
		}
	}
	wrong := []Receipt{reportOf(head, 9, r, 1), reportOf(head, 9, r, 1), reportOf(head, 9, r, 1), reportOf(head, 9, r, 1)}
	wrong[0].Applications = []int64{99}
	wrong[1].Key = campaign.Key(head.ID, "00000000", 9, 1)
	wrong[2].Key = campaign.Key(head.ID, head.Tag, 9, 5)
	wrong[3].Key = campaign.Key(campaign.NewID(time.Now(), 999), head.Tag, 9, 1)
	if results, err := s.RecordReceipts(wrong); len(results) != 0 || err != nil {
		t.Errorf("results %v, %v", results, err)
	}
	s.Close()
	s = openAt(t, s.db.Path())
	loaded, _, _, err := s.Load(head.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(campaign.DeliveryCounts{Delivered: 2, Read: 3, Failed: 1}, loaded.Delivery); diff != "" {
		t.Error(diff)
	}
	got, err := s.Deliveries(head.ID, 3, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := []campaign.Delivery{}
	for line, one := range []campaign.Delivery{3: {State: r, At: time.Unix(300, 0)}, 4: {State: d, At: time.Unix(400, 0)}, 5: {State: d, At: time.Unix(501, 0)},
		6: {State: r, At: time.Unix(600, 0)}, 7: {State: f, At: time.Unix(700, 0)}} {
		if one.Line, one.Message, one.At = uint32(line), 1, one.At.UTC(); line >= 3 {
			want = append(want, one)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	verify(t, s)
}

// TestReceiptsWithoutAKeyAreMatchedLater: by the provider's id, before and after the result is committed; unmatched ones are deleted.
func TestReceiptsWithoutAKeyAreMatchedLater(t *testing.T) {
	s := openTest(t)
	head := receipts(t, s)
	withoutKey := func(provider string) Receipt {
		return Receipt{Applications: []int64{head.ApplicationID}, Provider: provider, State: campaign.Read, At: time.Unix(50, 0), Code: "c", Detail: "d"}
	}
	other := withoutKey("wamid.4")
	other.Applications = []int64{99}
	results, err := s.RecordReceipts([]Receipt{withoutKey("wamid.3"), withoutKey("wamid.10"), withoutKey(""), other})
	switch {
	case err != nil:
		t.Error(err)
	case len(results) != 3:
		t.Errorf("len(results) = %v, want 3: %+v", len(results), results)
	case results[0].Application != 0:
		t.Errorf("results[0].Application = %v, want 0", results[0].Application)
	}
	results, left, err := s.MatchReceipts(time.Unix(0, 0))
	switch {
	case err != nil:
		t.Error(err)
	case left != 2:
		t.Errorf("left: got %v, want 2", left)
	case len(results) != 1:
		t.Errorf("len(results): got %v, want 1: %+v", len(results), results)
	case results[0].Application != head.ApplicationID:
		t.Errorf("results[0].Application: got %v, want %v", results[0].Application, head.ApplicationID)
	}
	got, err := s.Deliveries(head.ID, 0, 100)
	want := []campaign.Delivery{{Line: 5, Message: 1, State: campaign.Read, At: time.Unix(50, 0).UTC(), Code: "c", Detail: "d"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	switch results, left, err = s.MatchReceipts(now().Add(time.Second)); {
	case err != nil:
		t.Error(err)
	case left != 0:
		t.Errorf("left = %v, want 0", left)
	case len(results) != 0:
		t.Errorf("len(results) = %v, want 0: %+v", len(results), results)
	}
	if contact, err := s.ContactOf(campaign.Key(head.ID, head.Tag, 5, 1)); contact != "34600000003" || err != nil {
		t.Errorf("contact %q, %v", contact, err)
	}
	for _, key := range []string{"", "x", campaign.Key(head.ID, "00000000", 5, 1), campaign.Key(head.ID, head.Tag, 999, 1), campaign.Key(campaign.NewID(time.Now(), 999), head.Tag, 5, 1)} {
		if contact, err := s.ContactOf(key); contact != "" || err != nil {
			t.Errorf("%q: contact %q, %v", key, contact, err)
		}
	}
	verify(t, s)
}

// TestReceiptsShareACommit: many concurrent callers each get their own results.
func TestReceiptsShareACommit(t *testing.T) {
	s := openTest(t)
	head := receipts(t, s)
	var wait sync.WaitGroup
	for line := range uint32(10) {
		for _, state := range []campaign.DeliveryState{campaign.Delivered, campaign.Read} {
			wait.Go(func() {
				if _, err := s.RecordReceipts([]Receipt{reportOf(head, line+2, state, 1)}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wait.Wait()
	loaded, _, _, err := s.Load(head.ID)
	if loaded.Delivery != (campaign.DeliveryCounts{Read: 10}) {
		t.Errorf("loaded.Delivery = %+v, want %+v", loaded.Delivery, (campaign.DeliveryCounts{Read: 10}))
	}
	if loaded.ReceiptVersion < 10 {
		t.Errorf("loaded.ReceiptVersion = %v, want at least 10", loaded.ReceiptVersion)
	}
	if err != nil {
		t.Error(err)
	}
	verify(t, s)
}

// TestStaleReportsAreListed: receipts that arrived after the files were written make them
// stale until they are written again, and are removed with the sending.
func TestStaleReportsAreListed(t *testing.T) {
	s := openTest(t)
	head := receipts(t, s)
	tell := func(line uint32) uint64 {
		t.Helper()
		if _, err := s.RecordReceipts([]Receipt{reportOf(head, line, campaign.Read, 1)}); err != nil {
			t.Fatal(err)
		}
		loaded, _, _, err := s.Load(head.ID)
		if err != nil {
			t.Fatal(err)
		}
		return loaded.ReceiptVersion
	}
	late := func(want int) {
		t.Helper()
		if got, err := s.StaleReports(); len(got) != want || err != nil {
			t.Errorf("late: %v, %v", got, err)
		}
	}
	first := tell(2)
	late(0) // its folder isn't in done/ yet
	finish(t, s, head.ID)
	if err := s.Filed(head.ID, false); err != nil {
		t.Fatal(err)
	}
	late(1)
	second := tell(3)
	for version, want := range map[uint64]int{first: 1, second: 0} {
		if err := s.MarkReported(head.ID, version); err != nil {
			t.Fatal(err)
		}
		if version == second {
			late(want)
		}
	}
	if err := s.MarkReported(head.ID, first); err != nil { // an older version changes nothing
		t.Fatal(err)
	}
	late(0)
	tell(4)
	late(1)
	if n, err := prune(s, now().Add(time.Hour)); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	late(0)
	if got, err := s.Deliveries(head.ID, 0, 100); len(got) != 0 || err != nil {
		t.Errorf("left %v, %v", got, err)
	}
	verify(t, s)
}

// TestOptOutsKnowContacts: a contact is found in every spelling of its number or address.
func TestOptOutsKnowContacts(t *testing.T) {
	s := openTest(t)
	list := []OptOut{{ApplicationID: 1, ContactCode: "+34 666 777 888"}, {ApplicationID: 1, ChannelType: "mail", ContactCode: "Ann@Example.com"},
		{ApplicationID: 1, ContactCode: "34666777888"}}
	if n, err := s.AddOptOuts(list); n != 2 || err != nil {
		t.Errorf("added %d, %v", n, err)
	}
	for contact, want := range map[string]bool{"34666777888": true, "(34) 666-777-888": true, "ann@example.com": true, "34666777889": false} {
		if got, err := s.OptedOut(1, "mail", []byte(contact)); got != want || err != nil {
			t.Errorf("%q: %t, %v", contact, got, err)
		}
	}
	if found, err := s.RemoveOptOut(1, "", "34-666-777-888"); !found || err != nil {
		t.Errorf("remove: %t, %v", found, err)
	}
}

// TestMigrationRekeysOptOuts: opt-outs of version 1 are found in every spelling after the migration.
func TestMigrationRekeysOptOuts(t *testing.T) {
	s := openTest(t)
	err := s.update(func(t *tx) error {
		if err := optout.Create(t.Tx.Tx); err != nil {
			return err
		}
		b := t.Bucket([]byte("suppressions"))
		for _, contact := range []string{"+34 666 777 888", "34666777888", "A@example.com", "code-7"} {
			key := append(append(db.Key8(db.Signed(1)), 0), contact...)
			if err := b.Put(key, []byte(`{"applicationId":1,"contactCode":"`+contact+`","source":"old"}`)); err != nil {
				return err
			}
		}
		return errors.Join(optout.Rekey(t.Tx.Tx), t.DeleteBucket([]byte("optouts")), t.DeleteBucket([]byte("origins")), t.DeleteBucket([]byte("forgotten")),
			t.Bucket(db.Meta).Put([]byte("version"), []byte{0, 0, 0, 3}))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openAt(t, s.db.Path())
	n := 0
	if err := s.EachOptOut(1, func(OptOut) error { n++; return nil }); n != 3 || err != nil {
		t.Errorf("%d opt-outs, %v", n, err)
	}
	for _, contact := range []string{"34 666 777 888", "a@EXAMPLE.com", "code-7"} {
		if out, err := s.OptedOut(1, "x", []byte(contact)); !out || err != nil {
			t.Errorf("%q: %t, %v", contact, out, err)
		}
	}
}

// TestResendUndelivered: messages that the provider couldn't deliver are sent again, and their receipts are gone.
func TestResendUndelivered(t *testing.T) {
	s := openTest(t)
	head := receipts(t, s)
	list := []Receipt{reportOf(head, 3, campaign.Undelivered, 1), reportOf(head, 4, campaign.Delivered, 1), reportOf(head, 5, campaign.Undelivered, 1)}
	if _, err := s.RecordReceipts(list); err != nil {
		t.Fatal(err)
	}
	for _, dryRun := range []bool{true, false} {
		resent, err := s.Resend(head.ID, Resending{Undelivered: true, DryRun: dryRun})
		want := Resent{Moved: campaign.Counts{campaign.Sent: 2}, Left: campaign.Counts{campaign.Sent: 8}}
		if diff := cmp.Diff(want, resent); diff != "" || err != nil {
			t.Errorf("dry run %t: %v (-want +got):\n%s", dryRun, err, diff)
		}
	}
	loaded, _, counts, err := s.Load(head.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(campaign.DeliveryCounts{Delivered: 1}, loaded.Delivery); diff != "" {
		t.Errorf("receipts after the resend (-want +got):\n%s", diff)
	}
	if got := counts[campaign.Pending]; got != 2 {
		t.Errorf("%d messages are pending, want 2", got)
	}
	if got := counts[campaign.Sent]; got != 8 {
		t.Errorf("%d messages are sent, want 8", got)
	}
	if wrong := s.Verify(true); len(wrong) > 0 {
		t.Errorf("the store is inconsistent: %v", wrong)
	}
}

// TestRepeatedFailureAfterResend: a provider repeats its receipts. The failure of an attempt before a
// resend says nothing about the attempt after it.
func TestRepeatedFailureAfterResend(t *testing.T) {
	s := openTest(t)
	head := receipts(t, s)
	failure := func(provider string) Receipt {
		r := reportOf(head, 3, campaign.Undelivered, 1)
		r.Provider = provider
		return r
	}
	record := func(r Receipt, want int) {
		t.Helper()
		if got, err := s.RecordReceipts([]Receipt{r}); len(got) != want || err != nil {
			t.Errorf("the receipt of %s changed %d messages, %v, want %d", r.Provider, len(got), err, want)
		}
	}
	resend := func() {
		t.Helper()
		if resent, err := s.Resend(head.ID, Resending{Undelivered: true}); resent.Moved.Final() != 1 || err != nil {
			t.Fatalf("%d messages are sent again, %v, want 1", resent.Moved.Final(), err)
		}
		commit(t, s, entry(head.ID, 1, 1, campaign.InFlight, 1))
		commit(t, s, entry(head.ID, 1, 1, campaign.Sent, 1))
	}
	record(failure("wamid.first"), 1)
	resend()
	record(failure("wamid.first"), 0)
	record(failure("wamid.second"), 1)
	resend()
	record(failure("wamid.first"), 0)
	record(failure("wamid.second"), 0)
	record(reportOf(head, 3, campaign.Delivered, 2), 1)
	loaded, _, _, err := s.Load(head.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(campaign.DeliveryCounts{Delivered: 1}, loaded.Delivery); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	if wrong := s.Verify(true); len(wrong) > 0 {
		t.Errorf("the store is inconsistent: %v", wrong)
	}
}
