package control_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"campaignd/internal/campaign"
	"campaignd/internal/control"
)

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := control.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := control.NewMetrics(registry); err == nil {
		t.Error("the same metrics were registered twice")
	}
	start(t, &fake{}, control.Options{Registry: registry})
	m.Recorded(1, "cloud_api", campaign.Sent, 5)
	m.Recorded(1, "cloud_api", campaign.Failed, 2)
	m.Recorded(1, "cloud_api", campaign.Sent, 1)
	m.Recorded(1, "cloud_api", campaign.Pending, 9) // given back: nothing happened
	m.Recorded(1, "cloud_api", campaign.Retrying, 3)
	m.Attempted(1, "cloud_api", 2, 3*time.Millisecond, 70*time.Millisecond)
	m.Attempted(1, "cloud_api", 2, -time.Second, 70*time.Millisecond) // never early, so a clock that stepped
	m.Rows(1, campaign.RowCounts{Total: 9, Accepted: 5, Rejected: 3, Duplicate: 1})
	m.Drop(campaign.StateCompleted)

	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
	want := `
# HELP campaignd_messages_total Messages that reached a final outcome. A message that is resent counts again.
# TYPE campaignd_messages_total counter
campaignd_messages_total{application="1",channel="cloud_api",outcome="canceled"} 0
campaignd_messages_total{application="1",channel="cloud_api",outcome="duplicate"} 0
campaignd_messages_total{application="1",channel="cloud_api",outcome="expired"} 0
campaignd_messages_total{application="1",channel="cloud_api",outcome="failed"} 2
campaignd_messages_total{application="1",channel="cloud_api",outcome="rejected"} 0
campaignd_messages_total{application="1",channel="cloud_api",outcome="sent"} 6
campaignd_messages_total{application="1",channel="cloud_api",outcome="skipped"} 0
campaignd_messages_total{application="1",channel="cloud_api",outcome="suppressed"} 0
campaignd_messages_total{application="1",channel="cloud_api",outcome="unknown"} 0
# HELP campaignd_retries_total Failed attempts that will be repeated.
# TYPE campaignd_retries_total counter
campaignd_retries_total{application="1",channel="cloud_api"} 3
# HELP campaignd_rows_total Data rows of checked drops by result: accepted, rejected or duplicate.
# TYPE campaignd_rows_total counter
campaignd_rows_total{application="1",result="accepted"} 5
campaignd_rows_total{application="1",result="duplicate"} 1
campaignd_rows_total{application="1",result="rejected"} 3
# HELP campaignd_slot_reserved_messages Messages reserved in the current slot.
# TYPE campaignd_slot_reserved_messages gauge
campaignd_slot_reserved_messages{application="1"} 300
# HELP campaignd_store_size_bytes Size of the store's file.
# TYPE campaignd_store_size_bytes gauge
campaignd_store_size_bytes 4096
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
		"campaignd_messages_total", "campaignd_retries_total", "campaignd_rows_total", "campaignd_slot_reserved_messages", "campaignd_store_size_bytes"); err != nil {
		t.Error(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	// Never a contact or a reference (docs/contract.md 5 and 12).
	allowed := map[string]bool{"application": true, "channel": true, "outcome": true, "result": true, "state": true, "stage": true, "inbox": true, "version": true}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if !allowed[label.GetName()] {
					t.Errorf("%s has the label %s", family.GetName(), label.GetName())
				}
			}
		}
	}
}

func TestASecondServerOnOneRegistryIsRefused(t *testing.T) {
	registry := prometheus.NewRegistry()
	start(t, &fake{}, control.Options{Registry: registry})
	err := control.New(&fake{}, control.Options{Socket: t.TempDir() + "/s", Registry: registry}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "register metrics") {
		t.Errorf("got %v", err)
	}
}
