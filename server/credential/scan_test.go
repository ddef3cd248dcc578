package credential_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/mintkeep/mintkeep/server/credential"
)

// ofEveryKind is a key, a secret and a token of a brand.
func ofEveryKind(brand string) []string {
	return []string{credential.NewKey(brand), credential.NewSecret(brand), credential.NewToken(brand)}
}

func TestPattern(t *testing.T) {
	for _, brand := range []string{"mk", "a1", "abcdefg8"} {
		shape := regexp.MustCompile(credential.Pattern(brand))
		for _, s := range ofEveryKind(brand) {
			for _, text := range []string{
				s, `"` + s + `"`, "'" + s + "'", "`" + s + "`", "KEY=" + s, "KEY=" + s + "\nA=b", "Bearer " + s + "\r\n",
				`{"key":"` + s + `"}`, "https://h/?k=" + s + "&a=b", "(" + s + ").", "a:" + s + "@h", "<k>" + s + "</k>",
			} {
				if got := shape.FindString(text); got != s {
					t.Errorf("in %q: got %q, want %q", text, got, s)
				}
			}
			for _, text := range []string{
				s[:len(s)-1], s + "0", strings.Replace(s, "_", "_0", 1), "x" + s, "x_" + s, s + "_x", s[1:], "0" + s[1:],
				strings.ToUpper(s), s[:20] + "_" + s[21:], s[:20] + "-" + s[21:], strings.Replace(s, "_", "-", 1),
				strings.Replace(s, brand, brand+"u", 1), strings.Replace(s, brand, brand+"st", 1),
			} {
				if got := shape.FindString(text); got != "" {
					t.Errorf("%q: got %q, want nothing", text, got)
				}
			}
		}
	}
}

// scan collects what Scan yields.
func scan(t *testing.T, r io.Reader) []string {
	t.Helper()
	var found []string
	for s, err := range credential.Scan(r) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, s)
	}
	return found
}

func TestScan(t *testing.T) {
	s := credential.NewSecret("mk")
	other := ofEveryKind("abcdefgh")[0]
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"_", nil},
		{strings.Repeat("_", 200), nil},
		{s, []string{s}},
		{s + s + "\n" + other, []string{s, s, other}},
		{`{"text":"{\"key\":\"\nok` + s + `\n"}`, []string{s}}, // nokmks_ is in front
		{"%22" + s + "%22", []string{s}},
		{"A_" + s + "_", []string{s}},
		{"x" + s + "x", []string{s}},
		{"B=" + other + "\x00C=" + s + "\x00", []string{other, s}},
		{s[:len(s)-1], nil},
		{s[:10] + "\n" + s[10:], nil},
		{"m_" + s[4:], nil},
		{strings.ToUpper(s), nil},
	} {
		if d := cmp.Diff(tt.want, scan(t, strings.NewReader(tt.text))); d != "" {
			t.Errorf("%q (-want +got):\n%s", tt.text, d)
		}
	}
}

// However the text arrives, nothing is lost where two reads meet, and nothing found twice.
func TestScanAcrossReads(t *testing.T) {
	var want []string
	var text strings.Builder
	for i := range 3000 {
		s := ofEveryKind([]string{"mk", "abcdefgh"}[i%2])[i%3]
		want = append(want, s)
		text.WriteString(strings.Repeat("a_b ", i%97) + s)
	}
	for name, r := range map[string]io.Reader{
		"whole":    strings.NewReader(text.String()),
		"bytes":    iotest.OneByteReader(strings.NewReader(text.String())),
		"halves":   iotest.HalfReader(strings.NewReader(text.String())),
		"with EOF": iotest.DataErrReader(strings.NewReader(text.String())),
		"UTF-16":   bytes.NewReader(utf16LE(text.String())),
	} {
		if d := cmp.Diff(want, scan(t, r)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func utf16LE(s string) []byte {
	text := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		text = append(text, byte(u), byte(u>>8))
	}
	return text
}

func TestScanFails(t *testing.T) {
	broken := errors.New("broken")
	s := credential.NewSecret("mk")
	var found []string
	var got error
	for f, err := range credential.Scan(io.MultiReader(strings.NewReader(s), iotest.ErrReader(broken))) {
		if got = err; err == nil {
			found = append(found, f)
		}
	}
	if !slices.Equal(found, []string{s}) || !errors.Is(got, broken) {
		t.Errorf("got %q and %v, want %q and %v", found, got, s, broken)
	}
}

func TestScanStops(t *testing.T) {
	s := credential.NewSecret("mk")
	for range credential.Scan(strings.NewReader(s + s)) {
		break // a yield after this would panic
	}
}

// A gigabyte must not be held in memory: what is allocated does not grow with the text.
func TestScanHoldsLittle(t *testing.T) {
	const size, most = 64 << 20, 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if found := scan(t, io.LimitReader(words{}, size)); len(found) > 0 {
		t.Errorf("found %q", found)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > most {
		t.Errorf("got %d bytes allocated for a text of %d, want at most %d", got, size, most)
	}
}

// words is a text without an end and without a credential.
type words struct{}

func (words) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		n += copy(b[n:], "a snake_case name, and a line's end\n")
	}
	return len(b), nil
}

// The documentation has the function of the example, letter by letter.
func TestDocumentedChecksum(t *testing.T) {
	document, err := os.ReadFile("../../docs/scanning.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("scan_example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), "```go\n")
	code, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed || !strings.Contains(string(example), "\n"+code+"\n") {
		t.Errorf("scan_example_test.go does not have the code of docs/scanning.md:\n%s", code)
	}
}

func FuzzScan(f *testing.F) {
	s := credential.NewSecret("mk")
	for _, seed := range []string{"", "_", s, "x" + s, s + s, "\x00" + s} {
		f.Add(seed)
	}
	candidate := regexp.MustCompile(`[a-z][0-9a-z]{1,8}_[0-9A-Za-z]{46}`)
	f.Fuzz(func(t *testing.T, text string) {
		found := scan(t, strings.NewReader(text))
		for _, s := range found {
			if !credential.WellFormed(s) || !strings.Contains(strings.ReplaceAll(text, "\x00", ""), s) {
				t.Errorf("found %q in %q", s, text)
			}
		}
		for _, s := range candidate.FindAllString(text, -1) {
			if credential.WellFormed(s) && !slices.Contains(found, s) {
				t.Errorf("did not find %q in %q", s, text)
			}
		}
	})
}
