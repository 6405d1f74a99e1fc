package control

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"go.yaml.in/yaml/v3"

	"campaignd/internal/api"
	"campaignd/internal/campaign"
	"campaignd/test/golden"
)

// full is a Service whose status fills every field.
type fullStatus struct{ Service }

func (fullStatus) Status(context.Context) (api.Status, error) {
	return api.Status{
		Inboxes: []api.Inbox{{Path: "inbox"}}, Channels: []api.Channel{{ApplicationID: 1, ChannelType: "cloud_api", Workers: new(int)}},
		Slots: []api.SlotFill{{ApplicationID: 1}}, Cluster: &api.Cluster{Replication: &api.Replication{}},
	}, nil
}

// families returns all metrics by name.
func families(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewRegistry()
	m, err := NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Register(newCollector(fullStatus{})); err != nil {
		t.Fatal(err)
	}
	limiter := newConnectionLimiter(1, nil, nil)
	registry.MustRegister(newWrongTokens(nil).counter, limiter.open, limiter.refused)
	m.Attempted(1, "cloud_api", 1, time.Second, time.Second)
	m.Recorded(1, "cloud_api", campaign.Sent, 1)
	m.Rows(1, campaign.RowCounts{})
	m.Delivery(1, campaign.Read)
	m.Notices("delivered", 1)
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.MetricFamily{}
	for _, f := range gathered {
		all[f.GetName()] = f
	}
	return all
}

const (
	metricsDocs  = "../../docs/monitoring.md"
	metricsBegin = "<!-- metrics: written by go test ./internal/control -update -->\n"
	metricsEnd   = "<!-- end of metrics -->\n"
)

// TestEveryMetricIsDocumented holds the table of docs/monitoring.md to the code.
func TestEveryMetricIsDocumented(t *testing.T) {
	data, err := os.ReadFile(metricsDocs)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), metricsBegin)
	_, after, ok2 := strings.Cut(rest, metricsEnd)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the lines %q and %q", metricsDocs, metricsBegin, metricsEnd)
	}
	all := families(t)
	var names []string
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	b.WriteString(before + metricsBegin + "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n")
	for _, name := range names {
		var labels []string
		for _, l := range all[name].GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(all[name].GetType().String()), strings.Join(labels, ", "), all[name].GetHelp())
	}
	b.WriteString(metricsEnd + after)
	golden.Compare(t, metricsDocs, b.String())
}

// TestAlertsAndDashboardNameRealMetrics: an alert on a renamed metric never fires.
func TestAlertsAndDashboardNameRealMetrics(t *testing.T) {
	all := families(t)
	name := regexp.MustCompile(`campaignd_[a-z_]+`)
	read := func(path string) []byte {
		data, err := os.ReadFile("../../docs/monitoring/" + path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	used := map[string]bool{}
	check := func(file, expression string) {
		for _, found := range name.FindAllString(expression, -1) {
			base := found
			if _, ok := all[base]; !ok {
				for _, suffix := range []string{"_bucket", "_sum", "_count"} {
					if cut, ok := strings.CutSuffix(found, suffix); ok && all[cut].GetType() == dto.MetricType_HISTOGRAM {
						base = cut
					}
				}
			}
			if all[base] == nil {
				t.Errorf("%s asks for %s, which is no metric", file, found)
			}
			used[base] = true
		}
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(read("alerts.yml"), &rules); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			n++
			switch {
			case r.Alert == "":
				t.Error(`a rule lacks something: r.Alert: got ""`)
			case r.Expr == "":
				t.Error(`a rule lacks something: r.Expr: got ""`)
			case r.Labels["severity"] == "":
				t.Error(`a rule lacks something: r.Labels["severity"]: got ""`)
			case r.Annotations["summary"] == "":
				t.Error(`a rule lacks something: r.Annotations["summary"]: got ""`)
			}
			check("alerts.yml, "+r.Alert, r.Expr)
		}
	}
	if n == 0 {
		t.Error("alerts.yml has no rule")
	}
	used = map[string]bool{}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read("grafana.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			check("grafana.json, "+p.Title, target.Expr)
		}
	}
	for metric := range all {
		if !used[metric] {
			t.Errorf("grafana.json doesn't show %s", metric)
		}
	}
}

// TestAlertTexts renders every alert as Prometheus does: a text must make sense with the value of its expression.
func TestAlertTexts(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(metricsDocs), "monitoring", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(data, &rules); err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{"CampaigndFailing": 0.123, "CampaigndDropsRejected": 5.5, "CampaigndDiskFilling": 1.65e9}
	want := map[string]string{
		"CampaigndRestarting":    "campaignd on host:8025 was started 4 times within an hour",
		"CampaigndChannelHeld":   "channel cloud_api of application 1 sends nothing",
		"CampaigndSendingHeld":   "4 sendings are held",
		"CampaigndFailing":       "12.3% of the messages on cloud_api of application 1 fail",
		"CampaigndDropsRejected": "5.5 drops were rejected within an hour",
		"CampaigndDiskFilling":   "1.537GiB are free on the store's disk, or it will be full within a day",
	}
	for _, rule := range rules.Groups[0].Rules {
		value, ok := values[rule.Alert]
		if !ok {
			value = 4
		}
		for name, text := range rule.Annotations {
			got := renderAlert(t, text, value)
			if strings.Contains(got, "<no value>") {
				t.Errorf("%s, %s: got %q, want no \"<no value>\" in it", rule.Alert, name, got)
			}
			if strings.Contains(got, "{{") {
				t.Errorf("%s, %s: got %q, want no \"{{\" in it", rule.Alert, name, got)
			}
			if w := want[rule.Alert]; name == "summary" && w != "" && got != w {
				t.Errorf("%s: got %q, want %q", rule.Alert, got, w)
			}
			// A prediction below zero makes no sense to a reader.
			if strings.Contains(text, "$value") && regexp.MustCompile(`(^|\bor )predict_linear`).MatchString(strings.TrimSpace(rule.Expr)) {
				t.Errorf("%s shows the value of a prediction: %s", rule.Alert, text)
			}
		}
		delete(want, rule.Alert)
	}
	for alert := range want {
		t.Errorf("there is no alert %s", alert)
	}
}

// renderAlert renders a text with the functions of Prometheus that the alerts use.
func renderAlert(t *testing.T, text string, value float64) string {
	t.Helper()
	functions := template.FuncMap{
		"humanize":           func(v float64) string { return fmt.Sprintf("%.4g", v) },
		"humanizePercentage": func(v float64) string { return fmt.Sprintf("%.4g%%", v*100) },
		"humanize1024": func(v float64) string {
			units := []string{"", "Ki", "Mi", "Gi", "Ti"}
			i := 0
			for ; v >= 1024 && i < len(units)-1; i++ {
				v /= 1024
			}
			return fmt.Sprintf("%.4g%s", v, units[i])
		},
	}
	one, err := template.New("").Funcs(functions).Parse("{{$labels := .Labels}}{{$value := .Value}}" + text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	labels := map[string]string{"instance": "host:8025", "channel": "cloud_api", "application": "1", "inbox": "inbox"}
	var b strings.Builder
	if err := one.Execute(&b, map[string]any{"Labels": labels, "Value": value}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b.String()
}
