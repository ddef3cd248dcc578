package oauth

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is no cursor is answered with a reset, and what is too long for one is not kept.
func TestCursorText(t *testing.T) {
	cursor := strings.Repeat("c", maxCursor)
	for raw, want := range map[string]string{
		"": "", "null": "", `"` + cursor + `"`: cursor, `"` + cursor + `c"`: "?", `""`: "?", "5": "?", "[]": "?",
	} {
		if got := cursorText(json.RawMessage(raw)); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}
