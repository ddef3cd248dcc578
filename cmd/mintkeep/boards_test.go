package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
	"github.com/mintkeep/mintkeep/store/storetest"
)

// What docs/deploy has for operators: the alerts, and the dashboard.

const (
	alertsFile = "../../docs/deploy/alerts.yaml"
	boardFile  = "../../docs/deploy/grafana.json"
	alertTests = "testdata/alerts/tests.yaml"
)

// promtool runs promtool, or skips the test without it.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("MINTKEEP_TEST_REQUIRE"), ","), "promtool") {
			t.Fatal("promtool is not installed, and MINTKEEP_TEST_REQUIRE asks for it")
		}
		t.Skip("promtool is not installed; Debian has it in the package prometheus")
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// alertRules are the rules of alerts.yaml.
type alertRules struct {
	Groups []struct{ Rules []alertRule }
}

type alertRule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Each alert fires when it should and is quiet when it should be.
func TestAlerts(t *testing.T) {
	t.Parallel()
	var rules alertRules
	var cases struct {
		Tests []struct {
			Cases []struct {
				Alert    string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	readYAML(t, alertsFile, &rules)
	readYAML(t, alertTests, &cases)
	quiet, firing := map[string]bool{}, map[string]bool{}
	for _, test := range cases.Tests {
		for _, c := range test.Cases {
			if len(c.Expected) == 0 {
				quiet[c.Alert] = true
			} else {
				firing[c.Alert] = true
			}
		}
	}
	headings := regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text(t, "../../docs/operations.md"), -1)
	for _, rule := range rules.Groups[0].Rules {
		if rule.Alert == "" {
			continue
		}
		if !quiet[rule.Alert] || !firing[rule.Alert] {
			t.Errorf("%s has no quiet and firing test in %s", rule.Alert, alertTests)
		}
		if rule.Labels["severity"] == "" || rule.Annotations["summary"] == "" || rule.Annotations["description"] == "" {
			t.Errorf("%s has no severity, summary or description", rule.Alert)
		}
		anchor, found := strings.CutPrefix(rule.Annotations["runbook_url"], "https://github.com/mintkeep/mintkeep/blob/main/docs/operations.md#")
		if !found || !slices.ContainsFunc(headings, func(h []string) bool { return strings.ToLower(h[1]) == anchor }) {
			t.Errorf("%s: docs/operations.md has no heading for the runbook %q", rule.Alert, rule.Annotations["runbook_url"])
		}
	}
	promtool(t, "check", "rules", alertsFile)
	promtool(t, "test", "rules", alertTests)
}

// board is the dashboard, as far as it is checked.
type board struct {
	Templating struct {
		List []struct {
			Name, Definition string
			Multi            bool
		}
	}
	Annotations struct{ List []struct{ Expr string } }
	Panels      []boardPanel
}

type boardPanel struct {
	Type, Title, Description string
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr string }
}

func readBoard(t *testing.T) (b board, exprs []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(text(t, boardFile)), &b); err != nil {
		t.Fatalf("%s: %v", boardFile, err)
	}
	for _, a := range b.Annotations.List {
		exprs = append(exprs, a.Expr)
	}
	for _, p := range b.Panels {
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return b, exprs
}

// Each expression of the dashboard is one for Prometheus, and each panel says what it shows, and in which unit.
func TestBoard(t *testing.T) {
	t.Parallel()
	b, exprs := readBoard(t)
	for _, p := range b.Panels {
		if p.Title == "" || p.Type != "row" && (p.FieldConfig.Defaults.Unit == "" || p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("the panel %q (%s) has no title, unit, description or target", p.Title, p.Type)
		}
	}
	if i := slices.IndexFunc(b.Templating.List, func(v struct {
		Name, Definition string
		Multi            bool
	},
	) bool {
		return v.Name == "instance" && v.Multi
	}); i < 0 {
		t.Error("there is no variable for several instances")
	}
	var rules bytes.Buffer
	rules.WriteString("groups:\n- name: board\n  rules:\n")
	for i, expr := range exprs {
		if strings.Contains(expr, "mintkeep_") && !strings.Contains(expr, "mintkeep_guard_") && !strings.Contains(expr, `instance=~"$instance"`) {
			t.Errorf("%s is not limited to the chosen instances", expr)
		}
		expr = strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*", "$job", ".*").Replace(expr)
		fmt.Fprintf(&rules, "  - record: board:panel:%d\n    expr: %q\n", i, expr)
	}
	path := filepath.Join(t.TempDir(), "board.yaml")
	if err := os.WriteFile(path, rules.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", path)
}

// The panel of failed revocations shows what the alert is about.
func TestBoardShowsTheFailedRevocations(t *testing.T) {
	t.Parallel()
	var rules alertRules
	readYAML(t, alertsFile, &rules)
	rule := slices.IndexFunc(rules.Groups[0].Rules, func(r alertRule) bool { return r.Record == "mintkeep:revocations_failed:increase5m" })
	b, _ := readBoard(t)
	panel := slices.IndexFunc(b.Panels, func(p boardPanel) bool { return p.Title == "Failed revocations" })
	if rule < 0 || panel < 0 {
		t.Fatalf("there is no rule %d or no panel %d", rule, panel)
	}
	closeUp := strings.NewReplacer(" ", "", "\n", "", `job=~"$job",instance=~"$instance",`, "")
	got, want := closeUp.Replace(b.Panels[panel].Targets[0].Expr), closeUp.Replace(rules.Groups[0].Rules[rule].Expr)
	if got != want {
		t.Errorf("the panel has\n%s\nand the rule\n%s", got, want)
	}
}

// Each metric that the dashboard and the alerts name is in a scrape.
func TestBoardsNameMetricsThatExist(t *testing.T) {
	t.Parallel()
	s := processtest.StartReady(t, append(processtest.OnRedis(storetest.Redis(t, "--maxmemory", "1gb").URL()), "MINTKEEP_SIGNING_ROTATION=720h")...)
	client := s.Register(t, `{"scope":"mintkeep:introspect"}`)
	const poll = `{"after":"","wait":450,"nonce":"k3J9xQ2mZr0a","instance":"orders-1"}`
	processtest.Eventually(t, processtest.Patience, func() bool {
		return s.Call(http.MethodPost, "/oauth/changes", "application/json", poll, client).Is(http.StatusOK)
	}, s.Log.String)
	certFile, keyFile := writeCertificate(t)
	secure := processtest.Launch(t, "MINTKEEP_TLS_CERT="+certFile, "MINTKEEP_TLS_KEY="+keyFile)
	secure.AwaitListening(t)
	scrape := processtest.Caller{URL: s.Metrics()}.Get("/metrics").Body + processtest.Caller{URL: secure.Metrics()}.Get("/metrics").Body

	var rules alertRules
	readYAML(t, alertsFile, &rules)
	_, exprs := readBoard(t)
	for _, rule := range rules.Groups[0].Rules {
		exprs = append(exprs, rule.Expr)
	}
	metric := regexp.MustCompile(`\b(?:mintkeep|go|process)_[a-z_]+\b`)
	for _, expr := range exprs {
		for _, name := range metric.FindAllString(expr, -1) {
			if strings.HasPrefix(name, "mintkeep_guard_") {
				continue // the guard's own tests look for them
			}
			if !strings.Contains(scrape, "\n"+name+" ") && !strings.Contains(scrape, "\n"+name+"{") {
				t.Errorf("no scrape has %s, of %s", name, expr)
			}
		}
	}
}
