package relay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// monitorLimit limits the answer of a server's monitoring, in bytes.
const monitorLimit = 1 << 20

// CheckSync asks the HTTP monitoring of NATS servers how they sync. It returns what lets a power cut take
// what they have acknowledged, or what can't be asked.
func CheckSync(ctx context.Context, monitors []string) (problems []string) {
	client := &http.Client{Timeout: callTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, url := range monitors {
		if err := checkSync(ctx, client, url); err != nil {
			problems = append(problems, fmt.Sprintf("the NATS server with the monitoring %s %v", url, err))
		}
	}
	return problems
}

// checkSync returns an error whose text continues "the NATS server".
func checkSync(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/varz", nil)
	if err != nil {
		return fmt.Errorf("has no valid address: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("can't be asked how it syncs: %w", err)
	}
	defer resp.Body.Close()
	var varz struct {
		JetStream struct {
			Config *struct {
				SyncAlways   bool          `json:"sync_always"`
				SyncInterval time.Duration `json:"sync_interval"`
			} `json:"config"`
		} `json:"jetstream"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, monitorLimit)).Decode(&varz); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("can't be asked how it syncs: it answered with status %d", resp.StatusCode)
	}
	switch c := varz.JetStream.Config; {
	case c == nil:
		return fmt.Errorf("has no JetStream")
	case !c.SyncAlways:
		return fmt.Errorf("syncs every %s: a power cut can take what it has acknowledged; set sync_interval: always", c.SyncInterval)
	}
	return nil
}
