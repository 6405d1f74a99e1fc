package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"campaignd/internal/receipts"
)

// hookLimit is the longest body, in bytes. Meta's have up to 3 MB.
const hookLimit = 4 << 20

// Account is a number whose webhooks are accepted, and the secrets of its app.
type Account struct {
	PhoneNumberID     string
	BusinessAccountID string // "": changes of its templates are ignored
	AppSecret         string // signs every call
	VerifyToken       string // proves the GET; chosen by the operator and entered in Meta's form
}

// Hooks is the handler of the webhook: POST for events, GET for Meta's verification of the
// address.
type Hooks struct {
	accounts []Account
	receiver receipts.Receiver
	onError  func(error)
}

// NewHooks returns the handler. It ignores events of numbers that aren't among accounts or
// whose call was signed by another account's app. It calls onError, which may be nil, for
// errors of the receiver and of callers, without contact data. It returns an error for an
// account without secrets.
func NewHooks(accounts []Account, receiver receipts.Receiver, onError func(error)) (*Hooks, error) {
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

// verify answers Meta's verification of the address.
func (h *Hooks) verify(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	challenge := q.Get("hub.challenge")
	good := 0
	for _, a := range h.accounts { // compares all of them, so that the time reveals nothing
		good |= constantTimeEqual(q.Get("hub.verify_token"), a.VerifyToken)
	}
	if good != 1 || q.Get("hub.mode") != "subscribe" || challenge == "" || len(challenge) > maxChallenge {
		h.onError(errors.New("verify webhook: the verify token or the request is not valid"))
		http.Error(w, "not verified", http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff") // the challenge is the caller's text
	_, _ = io.WriteString(w, challenge)                 // after an error the caller tries again
}

// constantTimeEqual returns 1 if two secrets are equal. Its time depends on neither.
func constantTimeEqual(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

func (h *Hooks) receive(w http.ResponseWriter, r *http.Request) {
	signature, ok := signature(r.Header)
	if !ok {
		h.onError(errors.New("accept webhook: the header X-Hub-Signature-256 is missing"))
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
	signed := h.signers(body, signature)
	if len(signed.numbers) == 0 {
		h.onError(errors.New("accept webhook: the signature matches no app secret"))
		http.Error(w, "invalid signature", http.StatusUnauthorized)
		return
	}
	events, err := parseHook(body, signed)
	if err != nil {
		h.onError(fmt.Errorf("accept webhook: %w", err))
		http.Error(w, "not understood", http.StatusBadRequest)
		return
	}
	if len(events.Statuses)+len(events.Preferences)+len(events.Replies)+len(events.Moves)+len(events.Templates)+len(events.Ignored) > 0 {
		if err := h.receiver.Receive(r.Context(), events); err != nil {
			h.onError(fmt.Errorf("store webhook: %w", err))
			http.Error(w, "not stored: try again", http.StatusInternalServerError)
			return
		}
	}
	w.WriteHeader(http.StatusOK)
}

// signature parses the header, which must occur exactly once.
func signature(header http.Header) ([]byte, bool) {
	values := header.Values("X-Hub-Signature-256")
	if len(values) != 1 {
		return nil, false
	}
	digits, ok := strings.CutPrefix(values[0], "sha256=")
	sum, err := hex.DecodeString(digits)
	return sum, ok && err == nil && len(sum) == sha256.Size
}

// signers are the numbers and business accounts whose app's secret made a signature.
type signers struct{ numbers, accounts map[string]bool }

func (h *Hooks) signers(body, signature []byte) signers {
	signed := signers{map[string]bool{}, map[string]bool{}}
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
			signed.numbers[a.PhoneNumberID], signed.accounts[a.BusinessAccountID] = true, true
		}
	}
	return signed
}
