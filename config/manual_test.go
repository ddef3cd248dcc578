package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/config"
)

var update = flag.Bool("update", false, "write the settings table into the README")

const (
	readme = "../README.md"
	begin  = "<!-- settings -->\n"
	end    = "<!-- /settings -->"
)

func TestReadmeTable(t *testing.T) {
	content, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), begin)
	got, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %s … %s", readme, strings.TrimSpace(begin), end)
	}
	want := "\n" + config.Table() + "\n"
	if *update {
		if err := os.WriteFile(readme, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the table is not that of config.Config; run go test ./config -run Readme -update (-want +got):\n%s", d)
	}
}

func TestEverySettingIsExplained(t *testing.T) {
	for _, s := range config.Settings() {
		if s.Help == "" || s.Example == "" || s.Default == "" && s.Absent == "" {
			t.Errorf("%s lacks help, an example or its default in words: %+v", s.Name, s)
		}
		if s.Secret && !strings.Contains(config.Help(), s.File()) {
			t.Errorf("%s is not in the help", s.File())
		}
	}
}
