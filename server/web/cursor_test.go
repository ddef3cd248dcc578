package web

import (
	"bytes"
	"testing"

	"github.com/mintkeep/mintkeep/server/seal"
)

// cursorsOf are cursors under master keys that consist of these bytes.
func cursorsOf(tb testing.TB, list ...byte) Cursors {
	tb.Helper()
	var keys [][]byte
	for _, b := range list {
		keys = append(keys, bytes.Repeat([]byte{b}, seal.KeyBytes))
	}
	v, err := seal.New(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return NewCursors(v)
}

func TestCursor(t *testing.T) {
	sealing := cursorsOf(t, 1, 2)
	cursor := sealing.Seal("ibilling", "clients", "bil")

	for _, test := range []struct {
		name    string
		cursors Cursors
		cursor  string
		listing []string
		want    string
		refused bool
	}{
		{"none", sealing, "", []string{"clients", "bil"}, "", false},
		{"its own listing", sealing, cursor, []string{"clients", "bil"}, "ibilling", false},
		{"master key moved to the back", cursorsOf(t, 3, 1), cursor, []string{"clients", "bil"}, "ibilling", false},
		{"master key gone", cursorsOf(t, 2), cursor, []string{"clients", "bil"}, "", true},
		{"other filter", sealing, cursor, []string{"clients", "bi"}, "", true},
		{"other route", sealing, cursor, []string{"audit", "bil"}, "", true},
		{"parts run together", sealing, cursor, []string{"clientsbil"}, "", true},
		{"cut", sealing, cursor[:len(cursor)-1], []string{"clients", "bil"}, "", true},
		{"tag alone", sealing, cursor[:20], []string{"clients", "bil"}, "", true},
		{"longer", sealing, cursor + "AAAA", []string{"clients", "bil"}, "", true},
		{"line break", sealing, cursor + "\n", []string{"clients", "bil"}, "", true},
		{"a raw position", sealing, "ibilling", []string{"clients", "bil"}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := test.cursors.Open(test.cursor, test.listing...)
			if got != test.want || (err != nil) != test.refused {
				t.Errorf("got %q, %v; want %q, refused %v", got, err, test.want, test.refused)
			}
		})
	}
	if got := sealing.Seal("", "clients", ""); got != "" {
		t.Errorf("the end of a listing has the cursor %q", got)
	}
}

// FuzzCursor opens what nobody sealed, and reseals what somebody did.
func FuzzCursor(f *testing.F) {
	c := cursorsOf(f, 1)
	f.Add(c.Seal("ibilling", "clients", ""), "position", "filter")
	f.Add("", "nname\x00id", "")
	f.Add("AAAAAAAAAAAAAAAAAAAAAAAA", "\xff", "\x00")
	f.Fuzz(func(t *testing.T, forged, position, filter string) {
		if got, err := c.Open(forged, "fuzz", filter); err == nil && forged != "" {
			t.Errorf("%q opens as %q", forged, got)
		}
		if got, err := c.Open(c.Seal(position, "clients", filter), "clients", filter); got != position || err != nil {
			t.Errorf("got %q, %v; want %q", got, err, position)
		}
	})
}
