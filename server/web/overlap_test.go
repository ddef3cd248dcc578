package web

import (
	"encoding/json"
	"testing"
	"time"
)

func TestReadOverlap(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`{}`: 24 * time.Hour, `{"overlap":null}`: 24 * time.Hour, `{"overlap":"0s"}`: 0, `{"overlap":"1h30m"}`: 90 * time.Minute, `{"overlap":"720h"}`: 720 * time.Hour,
	} {
		if got, err := ReadOverlap(parse(t, text)); got != want || err != nil {
			t.Errorf("%s: got %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{`{"overlap":""}`, `{"overlap":"-1s"}`, `{"overlap":"720h1ns"}`, `{"overlap":"24"}`, `{"overlap":24}`, `{"overlap":"1d"}`} {
		if got, err := ReadOverlap(parse(t, text)); err == nil {
			t.Errorf("%s: got %v, want a refusal", text, got)
		}
	}
}

func parse(t *testing.T, text string) Object {
	t.Helper()
	var o Object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}
