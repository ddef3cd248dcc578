package web

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestRequestID(t *testing.T) {
	for given, kept := range map[string]bool{
		"a": true, "A-b_c.9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "ä": false, "a\"b": false, "<x>": false, "\x1b[31m": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/r/x", http.NoBody)
		r.Header.Set("X-Request-Id", given)
		w, log := serve(&Adapter{}, NoBody, ok, r)
		id := w.Header().Get("X-Request-Id")
		if (id == given) != kept || len(id) == 0 || len(id) > 64 {
			t.Errorf("%q: got %q, kept %v", given, id, kept)
		}
		if !strings.Contains(log, `"request_id":"`+id+`"`) {
			t.Errorf("%q: not in the log: %s", given, log)
		}
		if own := strings.Contains(log, `"server_request_id":"`); own != kept {
			t.Errorf("%q: the server's own id is beside it: %v, want %v: %s", given, own, kept, log)
		}
	}
}

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:f::/48")}
	for _, test := range []struct {
		name, peer string
		lines      []string
		want       string
	}{
		{"no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"untrusted peer", "192.0.2.9:1", []string{"198.51.100.1"}, "192.0.2.9"},
		{"one hop", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"hearsay to the left", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"a line each", "10.0.0.1:1", []string{"1.2.3.4", "198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"the caller's line is first", "10.0.0.1:1", []string{"10.0.0.3", "198.51.100.1"}, "198.51.100.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"garbage nearest", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		{"garbage behind a proxy", "10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"empty", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		{"IPv6", "[2001:db8:f::1]:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv6 in brackets", "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv6 with a port", "10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"IPv4 with a port", "10.0.0.1:1", []string{"1.2.3.4, 198.51.100.1:4711"}, "198.51.100.1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"zone", "[2001:db8:f::1%eth0]:1", []string{"fe80::1%25x"}, "fe80::1"},
		{"no peer", "@", []string{"198.51.100.1"}, "invalid IP"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{"X-Forwarded-For": test.lines}}
		if got := clientAddress(r, trusted).String(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
		if peer, _, _ := strings.Cut(test.peer, "%"); peer == test.peer && test.peer != "@" {
			want := netip.MustParseAddrPort(test.peer).Addr().Unmap()
			if got := clientAddress(r, nil); got != want {
				t.Errorf("%s: without a trusted proxy: got %s, want %s", test.name, got, want)
			}
		}
	}
}
