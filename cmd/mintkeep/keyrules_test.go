package main

import (
	"math"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/mintkeep/mintkeep/server/credential"
)

func rules(t *testing.T, args ...string) string {
	t.Helper()
	got := mintkeep(t, nil, "", append([]string{"key", "rules"}, args...)...)
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("got %+v", got)
	}
	return got.stdout
}

// rule is what the formats have in common.
type rule struct {
	name, description string
	pattern           string
	entropy           float64
	keywords          []string
}

func parsedRules(t *testing.T, brand string) map[string]rule {
	t.Helper()
	return map[string]rule{
		"regex":      {pattern: strings.TrimSuffix(rules(t, "--prefix="+brand), "\n")},
		"gitleaks":   gitleaksRule(t, rules(t, "--prefix="+brand, "--format=gitleaks")),
		"trufflehog": trufflehogRule(t, rules(t, "--prefix="+brand, "--format=trufflehog")),
	}
}

// gitleaksRule reads a configuration as gitleaks does, and rejects what it does
// not know.
func gitleaksRule(t *testing.T, text string) rule {
	t.Helper()
	var file struct {
		Title  string `toml:"title"`
		Extend struct {
			UseDefault bool `toml:"useDefault"`
		} `toml:"extend"`
		Rules []struct {
			ID          string   `toml:"id"`
			Description string   `toml:"description"`
			Regex       string   `toml:"regex"`
			Entropy     float64  `toml:"entropy"`
			Keywords    []string `toml:"keywords"`
		} `toml:"rules"`
	}
	decoder := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields()
	if err := decoder.Decode(&file); err != nil || len(file.Rules) != 1 || !file.Extend.UseDefault {
		t.Fatalf("got %+v, %v", file, err)
	}
	r := file.Rules[0]
	return rule{r.ID, r.Description, r.Regex, r.Entropy, r.Keywords}
}

// trufflehogRule does the same for a trufflehog custom detector.
func trufflehogRule(t *testing.T, text string) rule {
	t.Helper()
	var file struct {
		Detectors []struct {
			Name        string            `yaml:"name"`
			Description string            `yaml:"description"`
			Keywords    []string          `yaml:"keywords"`
			Regex       map[string]string `yaml:"regex"`
			Entropy     float64           `yaml:"entropy"`
		} `yaml:"detectors"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil || len(file.Detectors) != 1 {
		t.Fatalf("got %+v, %v", file, err)
	}
	d := file.Detectors[0]
	return rule{d.Name, d.Description, d.Regex["credential"], d.Entropy, d.Keywords}
}

// matches says whether a scanner with this rule reports the text: one of its
// keywords is there in any case, the expression matches, and what it matches looks
// random.
func (r rule) matches(t *testing.T, text string) bool {
	t.Helper()
	found := regexp.MustCompile(r.pattern).FindString(text)
	keyed := len(r.keywords) == 0
	for _, keyword := range r.keywords {
		keyed = keyed || strings.Contains(strings.ToLower(text), keyword)
	}
	return keyed && found != "" && entropy(found) > r.entropy
}

// entropy is Shannon's, in bits a character.
func entropy(s string) float64 {
	bits := 0.0
	for c := range strings.SplitSeq(s, "") {
		bits -= math.Log2(float64(strings.Count(s, c)) / float64(len(s)))
	}
	return bits / float64(len(s))
}

func TestKeyRules(t *testing.T) {
	t.Parallel()
	for _, brand := range []string{"mk", "no", "abcdefg8"} {
		for format, r := range parsedRules(t, brand) {
			if format != "regex" && (r.name != "mintkeep-"+brand || r.description == "") {
				t.Errorf("%s: got %+v", format, r)
			}
			for range 1000 {
				key, s, token := credential.NewKey(brand), credential.NewSecret(brand), credential.NewToken(brand)
				for _, text := range []string{"K=" + s, `{"k":"` + token + `"}`, "'" + key + "'\n", key + "\r\n"} {
					if !r.matches(t, text) {
						t.Fatalf("%s does not find %q", format, text)
					}
				}
			}
			s := credential.NewSecret(brand)
			for _, text := range []string{
				s[:len(s)-1], s + "0", "x" + s, "x_" + s, s + "_", "z" + s[1:], s[:20] + "_" + s[21:], s[:20] + "-" + s[21:], strings.ToUpper(s),
			} {
				if r.matches(t, text) {
					t.Errorf("%s finds %q", format, text)
				}
			}
			placeholder := brand + "_" + strings.Repeat("x", 46)
			if format != "regex" && r.matches(t, placeholder) {
				t.Errorf("%s finds %q", format, placeholder)
			}
		}
	}
}

// The brand is the one that the server reads, and a wrong one gets its words.
func TestKeyRulesPrefix(t *testing.T) {
	const words = "must be a lower-case letter and one to seven lower-case letters or digits"
	for _, tt := range []struct {
		environ, flag string
		want          result
	}{
		{"", "", result{stdout: credential.Pattern("mk") + "\n"}},
		{"MINTKEEP_KEY_PREFIX=", "", result{stdout: credential.Pattern("mk") + "\n"}},
		{"MINTKEEP_KEY_PREFIX=acme", "", result{stdout: credential.Pattern("acme") + "\n"}},
		{"MINTKEEP_KEY_PREFIX=acme", "old", result{stdout: credential.Pattern("old") + "\n"}},
		{"MINTKEEP_KEY_PREFIX=acme", "a", result{code: exitUsage, stderr: "mintkeep: --prefix " + words + "\n"}},
		{"", "mk'", result{code: exitUsage, stderr: "mintkeep: --prefix " + words + "\n"}},
		{"MINTKEEP_KEY_PREFIX=A", "", result{
			code:   exitUsage,
			stderr: "mintkeep: the configuration has an error:\n  MINTKEEP_KEY_PREFIX " + words + "; example: MINTKEEP_KEY_PREFIX=mk\n",
		}},
	} {
		// Other settings, and their mistakes, are none of this command's business.
		got := mintkeep(t, []string{tt.environ, "MINTKEEP_TOKEN_TTL=canary"}, "", "key", "rules", "--prefix="+tt.flag)
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(result{})); d != "" {
			t.Errorf("%q and %q (-want +got):\n%s", tt.environ, tt.flag, d)
		}
	}
}

// The documentation has the rules as they are printed.
func TestDocumentedRules(t *testing.T) {
	document, err := os.ReadFile("../../docs/scanning.md")
	if err != nil {
		t.Fatal(err)
	}
	for fence, format := range map[string]string{"text": "regex", "toml": "gitleaks", "yaml": "trufflehog"} {
		_, rest, _ := strings.Cut(string(document), "```"+fence+"\n")
		got, _, _ := strings.Cut(rest, "```\n")
		if d := cmp.Diff(rules(t, "--format="+format), got); d != "" {
			t.Errorf("docs/scanning.md: %s is not what key rules prints (-want +got):\n%s", format, d)
		}
	}
}
