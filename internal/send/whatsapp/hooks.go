package whatsapp

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// HookPath is where Meta is told to call: POST with what happened, GET once to
// see that the address is ours.
const HookPath = "/hooks/whatsapp"

// hookLimit is the most bytes of a call: Meta's have up to 3 MB.
const hookLimit = 4 << 20

// Delivery is how far a message has come.
type Delivery string

// The deliveries. They come out of order, and repeated, for up to 7 days.
const (
	DeliverySent      Delivery = "sent"
	DeliveryFailed    Delivery = "failed"
	DeliveryDelivered Delivery = "delivered" // may be left out before read
	DeliveryRead      Delivery = "read"
)

func (d Delivery) known() bool {
	return d == DeliverySent || d == DeliveryFailed || d == DeliveryDelivered || d == DeliveryRead
}

// Status is one report on one message.
type Status struct {
	PhoneNumberID string // the number that sent it, one of the handler's accounts
	ProviderID    string // the message, as Result.ProviderID
	Key           string // the message's key, "" if Meta left it out
	Contact       string // digits; it may differ from the contactCode's. Not for logs
	Delivery      Delivery
	At            time.Time // UTC, whole seconds; zero if Meta gave none that can be read
	Code          string    // with DeliveryFailed: Meta's code
	Detail        string    // with DeliveryFailed: for a person; no contact data
	OptedOut      bool      // the contact wants no more (131050): to the suppression list
}

// Preference is a contact's word on whether it wants marketing from a number.
type Preference struct {
	PhoneNumberID string
	Contact       string // digits. Not for logs
	Stop          bool   // false: the contact wants marketing again. That takes nobody off a list by itself
	At            time.Time
}

// Receiver takes what Meta told. It lives with its user, the daemon.
type Receiver interface {
	// Receive takes the events of one call, in its order; either may be empty. It returns nil
	// when all of it is durable, an error when none need be: then Meta calls again, for up
	// to 7 days. The same event may come any number of times, and late ones after the
	// sending is done. It is called by many goroutines at once.
	Receive(ctx context.Context, statuses []Status, preferences []Preference) error
}

// Account is a number for which webhooks are taken, and the secrets of its app.
type Account struct {
	PhoneNumberID string
	AppSecret     string // signs every call
	VerifyToken   string // proves the GET; made up by the operator, and entered in Meta's form
}

// Hooks is the handler of HookPath.
type Hooks struct {
	accounts []Account
	receiver Receiver
	onError  func(error)
}

// NewHooks makes the handler. Events of numbers that are none of accounts, or
// whose call another account's app signed, are passed over. onError, which may be nil, is told
// what the receiver or a caller did wrong; its errors hold no contact data. It returns an error for
// an account without secrets.
func NewHooks(accounts []Account, receiver Receiver, onError func(error)) (*Hooks, error) {
	for _, a := range accounts {
		if a.PhoneNumberID == "" || a.AppSecret == "" || a.VerifyToken == "" {
			return nil, errors.New("an account for webhooks needs a phone number id, an app secret and a verify token")
		}
	}
	if onError == nil {
		onError = func(error) {}
	}
	return &Hooks{accounts: accounts, receiver: receiver, onError: onError}, nil
}

// ServeHTTP implements http.Handler.
func (h *Hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	switch r.Method {
	case http.MethodGet:
		h.verify(w, r)
	case http.MethodPost:
		h.receive(w, r)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
	}
}

// maxChallenge is the most of a challenge that is echoed.
const maxChallenge = 256

// verify answers Meta's question whether this address expects it.
func (h *Hooks) verify(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	challenge := q.Get("hub.challenge")
	good := 0
	for _, a := range h.accounts { // all of them, so that the time tells nothing
		good |= same(q.Get("hub.verify_token"), a.VerifyToken)
	}
	if good != 1 || q.Get("hub.mode") != "subscribe" || challenge == "" || len(challenge) > maxChallenge {
		h.onError(errors.New("verify webhook: the verify token or the form is not right"))
		http.Error(w, "not verified", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff") // the challenge is the caller's text
	_, _ = io.WriteString(w, challenge)                 // a caller that is gone asks again
}

// same compares secrets in a time that depends on neither.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

func (h *Hooks) receive(w http.ResponseWriter, r *http.Request) {
	signature, ok := signature(r.Header)
	if !ok {
		h.onError(errors.New("take webhook: it has no X-Hub-Signature-256"))
		http.Error(w, "signature required", http.StatusUnauthorized)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, hookLimit))
	if err != nil {
		status := http.StatusBadRequest
		if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "body not read", status)
		return
	}
	numbers := h.signers(body, signature)
	if len(numbers) == 0 {
		h.onError(errors.New("take webhook: its signature is not of a known app secret"))
		http.Error(w, "signature not good", http.StatusUnauthorized)
		return
	}
	statuses, preferences, err := parseHook(body, numbers)
	if err != nil {
		h.onError(fmt.Errorf("take webhook: %w", err))
		http.Error(w, "not understood", http.StatusBadRequest)
		return
	}
	if len(statuses)+len(preferences) > 0 {
		if err := h.receiver.Receive(r.Context(), statuses, preferences); err != nil {
			h.onError(fmt.Errorf("keep webhook: %w", err))
			http.Error(w, "not kept: call again", http.StatusInternalServerError)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// signature reads the header, of which there must be exactly one.
func signature(header http.Header) ([]byte, bool) {
	values := header.Values("X-Hub-Signature-256")
	if len(values) != 1 {
		return nil, false
	}
	digits, ok := strings.CutPrefix(values[0], "sha256=")
	sum, err := hex.DecodeString(digits)
	return sum, ok && err == nil && len(sum) == sha256.Size
}

// signers are the numbers whose app's secret made the signature.
func (h *Hooks) signers(body, signature []byte) map[string]bool {
	numbers := map[string]bool{}
	sums := map[string]bool{}
	for _, a := range h.accounts {
		good, known := sums[a.AppSecret]
		if !known {
			mac := hmac.New(sha256.New, []byte(a.AppSecret))
			mac.Write(body)
			good = hmac.Equal(mac.Sum(nil), signature)
			sums[a.AppSecret] = good
		}
		if good {
			numbers[a.PhoneNumberID] = true
		}
	}
	return numbers
}
