package web

import (
	"bytes"
	"testing"
)

func masterKey(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func TestCursor(t *testing.T) {
	sealing := NewCursors([][]byte{masterKey(1), masterKey(2)})
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
		{"master key moved to the back", NewCursors([][]byte{masterKey(3), masterKey(1)}), cursor, []string{"clients", "bil"}, "ibilling", false},
		{"master key gone", NewCursors([][]byte{masterKey(2)}), cursor, []string{"clients", "bil"}, "", true},
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
	c := NewCursors([][]byte{masterKey(1)})
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
