package relay

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"campaignd/internal/send"
)

func exampleBatch() Batch {
	message := func(key, contact string) send.Message {
		return send.Message{
			Key: key, SendingID: "20260301-000007", Reference: "spring", ApplicationID: 1, CampaignID: 7, ChannelType: "cloud_api",
			ContactCode: contact, To: "+" + contact, RowReference: "r1", Number: 1, Attempt: 2,
			Content: json.RawMessage(`{"text":"Hello"}`), DueAt: time.Unix(1772000000, 5).UTC(),
		}
	}
	b := Batch{Version: MaxVersion, ID: BatchID{3, 1024}, Application: 1, Channel: "cloud_api", Hold: true, Messages: []send.Message{
		message("20260301-000007-2-1-ab12cd34", "34600000001"), message("20260301-000007-3-1-ab12cd34", "34600000002"), message("20260301-000008-2-1-ab12cd34", ""),
	}}
	b.Messages[2].SendingID, b.Messages[2].Content = "20260301-000008", json.RawMessage(`{}`)
	return b
}

func exampleAnswers() []Answers {
	return []Answers{
		{Version: MaxVersion, ID: BatchID{3, 1024}, Application: 1, Channel: "cloud_api", Worker: "w1", Claim: 1, Part: 2, Last: true, List: []Answer{
			{Index: 0, Key: "k0", Attempt: 1, Result: send.Result{Verdict: send.VerdictSent, ProviderID: "p0"}},
			{Index: 1, Key: "k1", Attempt: 2, Result: send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Code: "33", Detail: "no account", RetryAfter: time.Minute, OwnRule: true}},
			{Index: 2, Key: "k2", Attempt: 3, Result: send.Result{Verdict: send.VerdictUnknown, MaybeDelivered: true, OptOut: true}},
			{Index: 3, Key: "k3", Attempt: 1, Result: send.Result{Verdict: send.VerdictRetry, Unwritten: true, Detail: "cut off"}},
			{Index: 4, Key: "k4", Attempt: 1, Result: send.Result{Verdict: send.VerdictThrottled, Code: "450", Said: "Too many messages"}},
		}},
		{Version: MaxVersion, ID: BatchID{1, 1}, Application: 2, Channel: "email", Worker: "w2", Back: true, Last: true, List: []Answer{{Index: 5, Key: "k5", Attempt: 1}}},
		{Version: MaxVersion, ID: BatchID{1, 2}, Worker: "w2", Back: true, Last: true, List: []Answer{}},
	}
}

func TestBatchSurvivesTheWire(t *testing.T) {
	want := exampleBatch()
	got, err := DecodeBatch(AppendBatch(nil, &want), OwnVersions())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("batch (-want +got):\n%s", diff)
	}
}

func TestAnswersSurviveTheWire(t *testing.T) {
	for _, want := range exampleAnswers() {
		got, err := DecodeAnswers(AppendAnswers(nil, &want), OwnVersions())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	}
}

// An older hub doesn't know what newer workers say beside the verdict, and mustn't be told.
func TestAnswersOfVersionOneHaveWhatItsReadersKnow(t *testing.T) {
	for _, a := range exampleAnswers() {
		a.Version = 1
		got, err := DecodeAnswers(AppendAnswers(nil, &a), Versions{1, 1})
		if err != nil {
			t.Fatal(err)
		}
		for i := range a.List {
			a.List[i].Result.Unwritten, a.List[i].Result.Said = false, ""
		}
		if diff := cmp.Diff(a, got); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	}
	data := AppendAnswers(nil, &Answers{Version: 1, ID: BatchID{1, 2}, List: []Answer{{Attempt: 1, Result: send.Result{Verdict: send.VerdictRetry}}}})
	data[len(data)-2] |= flagUnwritten
	if _, err := DecodeAnswers(data, OwnVersions()); err == nil {
		t.Error("an answer of version 1 with a flag of version 2 was read, want an error")
	}
}

func TestClaimSurvivesTheWire(t *testing.T) {
	claim := Claim{Version: MaxVersion, ID: BatchID{3, 1024}, Worker: "w1", Number: 2}
	if got, err := DecodeClaim(AppendClaim(nil, &claim), OwnVersions()); err != nil || got != claim {
		t.Errorf("claim: got %v, %v, want %v", got, err, claim)
	}
	grant := Grant{Version: MaxVersion, ID: BatchID{3, 1024}, Decision: Granted, Refused: []int{0, 7, 63}}
	got, err := DecodeGrant(AppendGrant(nil, &grant), OwnVersions())
	if diff := cmp.Diff(grant, got); diff != "" || err != nil {
		t.Errorf("grant: %v (-want +got):\n%s", err, diff)
	}
	alive := Alive{Version: MaxVersion, Epoch: 3, Worker: "w1", Numbers: []uint64{1, 1 << 60}}
	sign, err := DecodeAlive(AppendAlive(nil, &alive), OwnVersions())
	if diff := cmp.Diff(alive, sign); diff != "" || err != nil {
		t.Errorf("sign of life: %v (-want +got):\n%s", err, diff)
	}
}

// A worker gives back a batch of a version that it doesn't read, by its id.
func TestBatchOfALaterVersionHasItsID(t *testing.T) {
	b := exampleBatch()
	data := AppendBatch(nil, &b)
	data[0] = MaxVersion + 1
	got, err := DecodeBatch(append(data, "something new"...), OwnVersions())
	if !errors.Is(err, ErrVersion) {
		t.Errorf("error is %v, want ErrVersion", err)
	}
	if got.ID != b.ID {
		t.Errorf("id is %v, want %v", got.ID, b.ID)
	}
}

// The numbers of verdicts and scopes are on the wire, between programs of different ages.
func TestVerdictsKeepTheirNumbers(t *testing.T) {
	for i, v := range []send.Verdict{send.VerdictSent, send.VerdictRetry, send.VerdictPermanent, send.VerdictHold, send.VerdictUnknown,
		send.VerdictBadRecipient, send.VerdictRecipientBusy, send.VerdictUnreachable, send.VerdictThrottled, send.VerdictNoEndpoint, send.VerdictDeferred} {
		if int(v) != i+1 {
			t.Errorf("verdict %d has the number %d", i+1, v)
		}
	}
	if send.HoldSending != 1 || send.HoldChannel != 2 {
		t.Errorf("scopes have the numbers %d and %d, want 1 and 2", send.HoldSending, send.HoldChannel)
	}
}

func TestRecordsOfWorkersDecideTheVersion(t *testing.T) {
	worker := func(lo, hi byte, reason string) WorkerRecord {
		return WorkerRecord{Wire: Versions{lo, hi}, Channels: []WorkerChannel{{Application: 1, Name: "a", Reason: reason}}}
	}
	for _, tc := range []struct {
		name    string
		hub     Versions
		workers []WorkerRecord
		want    byte // 0: none
	}{
		{"no worker", Versions{1, 2}, nil, 2},
		{"the same", Versions{1, 1}, []WorkerRecord{worker(1, 1, "")}, 1},
		{"newer that still reads the hub's", Versions{1, 1}, []WorkerRecord{worker(1, 2, ""), worker(1, 1, "")}, 1},
		{"one is older than the hub", Versions{1, 2}, []WorkerRecord{worker(1, 2, ""), worker(1, 1, "")}, 1},
		{"the newest of all", Versions{1, 3}, []WorkerRecord{worker(1, 2, ""), worker(2, 3, "")}, 2},
		{"too new for each other", Versions{1, 3}, []WorkerRecord{worker(1, 1, ""), worker(2, 3, "")}, 0},
		{"too new for the hub", Versions{1, 1}, []WorkerRecord{worker(2, 3, "")}, 0},
		{"too old for the hub", Versions{2, 3}, []WorkerRecord{worker(1, 1, "")}, 0},
		{"too new but without this channel", Versions{1, 1}, []WorkerRecord{worker(2, 3, "no secret")}, 1},
	} {
		if v, ok := SharedVersion(tc.hub, tc.workers, 1, "a"); ok != (tc.want != 0) || ok && v != tc.want {
			t.Errorf("%s: got %d, %v, want %d", tc.name, v, ok, tc.want)
		}
	}
}

// Each input is decoded as every kind of message: what decodes is the same after another trip.
func FuzzWire(f *testing.F) {
	b := exampleBatch()
	f.Add(AppendBatch(nil, &b))
	for _, a := range exampleAnswers() {
		f.Add(AppendAnswers(nil, &a))
	}
	f.Add(AppendClaim(nil, &Claim{ID: BatchID{1, 2}, Worker: "w", Number: 1}))
	f.Add(AppendGrant(nil, &Grant{ID: BatchID{1, 2}, Decision: Granted, Refused: []int{1, 5}}))
	f.Add(AppendAlive(nil, &Alive{Epoch: 1, Worker: "w", Numbers: []uint64{1, 5}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		sameAgain(t, "batch", data, DecodeBatch, AppendBatch)
		sameAgain(t, "answers", data, DecodeAnswers, AppendAnswers)
		sameAgain(t, "claim", data, DecodeClaim, AppendClaim)
		sameAgain(t, "grant", data, DecodeGrant, AppendGrant)
		sameAgain(t, "sign of life", data, DecodeAlive, AppendAlive)
	})
}

// sameAgain decodes data and, if it is a T, compares it with its own encoding decoded.
func sameAgain[T any](t *testing.T, what string, data []byte, decode func([]byte, Versions) (T, error), encode func([]byte, *T) []byte) {
	v, err := decode(data, OwnVersions())
	if err != nil {
		return
	}
	again, err := decode(encode(nil, &v), OwnVersions())
	if err != nil {
		t.Fatalf("%s: decode what was encoded: %v", what, err)
	}
	if diff := cmp.Diff(v, again); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// A worker of a later version may answer with a verdict that the hub doesn't know.
func TestAnAnswerOfALaterVersionLosesThoseBesideIt(t *testing.T) {
	const later = send.VerdictDeferred + 1
	sent := Answer{Index: 1, Key: "b", Attempt: 1, Result: send.Result{Verdict: send.VerdictSent, ProviderID: "p"}}
	a := Answers{ID: BatchID{1, 2}, Worker: "w", Claim: 1, Last: true,
		List: []Answer{{Key: "a", Attempt: 1, Result: send.Result{Verdict: later, Code: "7", Detail: "new"}}, sent}}
	got, err := DecodeAnswers(AppendAnswers(nil, &a), OwnVersions())
	if err != nil {
		t.Fatal(err)
	}
	want := []Answer{{Key: "a", Attempt: 1, Result: send.Result{Verdict: send.VerdictUnknown, Detail: laterVerdict, MaybeDelivered: true}}, sent}
	if diff := cmp.Diff(want, got.List); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
