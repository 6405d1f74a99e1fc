package campaign

import "time"

// Reply holds one answer of a recipient. Until it belongs to a sending its Line is 0, and
// ContactCode is written as the provider writes it.
type Reply struct {
	Line        uint32    `json:"line"` // of the sending's CSV
	ContactCode string    `json:"contactCode"`
	Reference   string    `json:"reference,omitempty"` // the row's
	At          time.Time `json:"at"`                  // by the provider's clock
	Type        string    `json:"type"`                // text, button, image ...
	Text        string    `json:"text,omitempty"`
	ID          string    `json:"id"`               // the provider's id for the reply
	Quoted      string    `json:"quoted,omitempty"` // the provider's id for the message that it quotes
}
