package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"
)

// What Form lets through has no parameter twice, none that is empty, and nothing that is not text.
func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"", "&&&&", "=v", "a", "a=b&a=b", "resource=x&resource=y", "a;b", "%", "%zz", "%u0041", "a=%00", "a=%c0%af", "%c0%af=a", "a=+%2B",
		"grant_type=client_credentials&scope=read+write",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		x := &request{Context: context.Background(), body: []byte(body)}
		r := httptest.NewRequest(http.MethodPost, "/?query=1", http.NoBody).WithContext(x)
		form, err := Form(r, "resource")
		if err != nil {
			if answer(err).Status != http.StatusBadRequest {
				t.Fatalf("got %v", err)
			}
			return
		}
		for name, values := range form {
			if len(values) == 0 || len(values) > 1 && name != "resource" || !utf8.ValidString(name) {
				t.Fatalf("%q has %d values", name, len(values))
			}
			for _, v := range values {
				if v == "" || !utf8.ValidString(v) {
					t.Fatalf("%q is %q", name, v)
				}
			}
		}
		if form.Has("query") && !strings.Contains(body, "q") && !strings.Contains(body, "%") {
			t.Fatal("it comes from the query")
		}
	})
}

// Whoever is not a trusted proxy cannot say where it comes from, and a caller behind one can only add to the
// left of what the proxy wrote.
func FuzzClientAddress(f *testing.F) {
	f.Add("192.0.2.1:1", "198.51.100.1", "")
	f.Add("10.0.0.1:1", "10.0.0.2", "198.51.100.1, 1.2.3.4")
	f.Add("[::1%lo]:1", "::ffff:10.0.0.1", ",,")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	f.Fuzz(func(t *testing.T, peer, first, second string) {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {first, second}}}
		got := clientAddress(r, trusted)
		from, err := netip.ParseAddrPort(peer)
		if err != nil {
			if got.IsValid() {
				t.Fatalf("peer %q: got %v", peer, got)
			}
			return
		}
		if address := from.Addr().Unmap().WithZone(""); !contains(trusted, address) && got != address {
			t.Fatalf("peer %v is not trusted: got %v", address, got)
		}
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("not canonical: %v", got)
		}
		const proxys = "198.51.100.7"
		r.Header["X-Forwarded-For"] = []string{first, second, proxys}
		if contains(trusted, from.Addr().Unmap().WithZone("")) && clientAddress(r, trusted).String() != proxys {
			t.Fatalf("the caller's lines won: %v", clientAddress(r, trusted))
		}
	})
}
