package guard

import (
	"regexp"
	"testing"
)

// A credential has the characters that RFC 6750 §2.1 allows, and = at its end alone.
func TestToken68(t *testing.T) {
	syntax := regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
	texts := []string{"", "=", "a=", "a==", "=a", "a=b", "a b"}
	for c := range 256 {
		texts = append(texts, "a"+string([]byte{byte(c)})+"z", string([]byte{byte(c)}))
	}
	for _, text := range texts {
		if got := isToken68(text); got != syntax.MatchString(text) {
			t.Errorf("%q: %v", text, got)
		}
	}
}
