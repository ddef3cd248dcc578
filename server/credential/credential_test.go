package credential_test

import (
	"hash/crc32"
	"regexp"
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/credential"
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func TestNew(t *testing.T) {
	for want, made := range map[string]func() string{
		`^mks_[0-9A-Za-z]{46}$`:       func() string { return credential.NewSecret("mk") },
		`^mkt_[0-9A-Za-z]{46}$`:       func() string { return credential.NewToken("mk") },
		`^abcdefg8s_[0-9A-Za-z]{46}$`: func() string { return credential.NewSecret("abcdefg8") },
		`^a1t_[0-9A-Za-z]{46}$`:       func() string { return credential.NewToken("a1") },
	} {
		shape := regexp.MustCompile(want)
		seen := map[string]bool{}
		for range 1000 {
			s := made()
			if !shape.MatchString(s) || !credential.WellFormed(s) {
				t.Fatalf("%q: matches %s: %v, well formed: %v", s, want, shape.MatchString(s), credential.WellFormed(s))
			}
			if seen[s] {
				t.Fatalf("%q was made twice", s)
			}
			seen[s] = true
			if got := credential.LastFour(s); len(got) != 4 || !strings.HasSuffix(s, got) {
				t.Fatalf("the last four of %q are %q", s, got)
			}
		}
	}
}

// The checksum is the one that the contract promises to scanners: CRC-32 (IEEE) over all before it, in base62.
func TestChecksum(t *testing.T) {
	for range 100 {
		s := credential.NewSecret("mk")
		if want := sum(s[:len(s)-6]); s != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
}

// Every character is equally likely in every place: 238 bits are only there if no place has fewer.
func TestRandomIsEven(t *testing.T) {
	const n = 20_000
	counts := map[byte]int{}
	for range n {
		for _, c := range []byte(credential.NewToken("mk")[4:44]) {
			counts[c]++
		}
	}
	mean := float64(n*40) / 62
	for _, c := range []byte(base62) {
		// A standard deviation is 0.9 % of the mean; characters below 256 mod 62 would have 25 % more.
		if d := float64(counts[c])/mean - 1; d < -0.08 || d > 0.08 {
			t.Errorf("%c is off by %.1f %%", c, 100*d)
		}
	}
}

func TestWellFormed(t *testing.T) {
	good := credential.NewSecret("mk")
	for i := range len(good) {
		for _, c := range []byte("0aZ_-\x00\xff") {
			if bad := good[:i] + string([]byte{c}) + good[i+1:]; bad != good && credential.WellFormed(bad) {
				t.Errorf("%q is %q with one character changed", bad, good)
			}
		}
	}
	for _, bad := range []string{
		"", "mks_", good[1:], good[:len(good)-1], good + "0", " " + good, good + "\n", strings.ToUpper(good),
		sum("_" + strings.Repeat("0", 40)),           // no brand
		sum("s_" + strings.Repeat("0", 40)),          // nor this
		sum("1ks_" + strings.Repeat("0", 40)),        // begins with a digit
		sum("mk-s_" + strings.Repeat("0", 40)),       // has what a brand has not
		sum("abcdefghis_" + strings.Repeat("0", 40)), // a brand of nine
		sum("mks_" + strings.Repeat("0", 39)),
		sum("mks_" + strings.Repeat("0", 41)),
		sum("mks_" + strings.Repeat("0", 39) + "-"),
	} {
		if credential.WellFormed(bad) {
			t.Errorf("%q is well formed", bad)
		}
	}
	for _, ok := range []string{
		sum("mk_" + strings.Repeat("0", 40)), sum("mks_" + strings.Repeat("z", 40)), sum("abcdefghs_" + strings.Repeat("A", 40)),
	} {
		if !credential.WellFormed(ok) {
			t.Errorf("%q is not well formed", ok)
		}
	}
}

// sum appends the checksum.
func sum(body string) string {
	digits := ""
	for sum := crc32.ChecksumIEEE([]byte(body)); len(digits) < 6; sum /= 62 {
		digits = string(base62[sum%62]) + digits
	}
	return body + digits
}

func TestLastFour(t *testing.T) {
	for s, want := range map[string]string{"": "", "abc": "abc", "abcd": "abcd", "abcde": "bcde"} {
		if got := credential.LastFour(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func FuzzWellFormed(f *testing.F) {
	for _, seed := range []string{"", "_", "mks_", credential.NewSecret("mk"), credential.NewToken("abcdefgh"), strings.Repeat("_", 50)} {
		f.Add(seed)
	}
	shape := regexp.MustCompile(`^[a-z][0-9a-z]{1,8}_[0-9A-Za-z]{46}$`)
	f.Fuzz(func(t *testing.T, s string) {
		credential.LastFour(s)
		want := shape.MatchString(s) && sum(s[:len(s)-6]) == s
		if got := credential.WellFormed(s); got != want {
			t.Errorf("%q: got %v, want %v", s, got, want)
		}
	})
}
