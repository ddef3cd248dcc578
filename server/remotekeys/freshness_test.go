package remotekeys_test

import (
	"strings"
	"testing"
	"time"
)

func TestLifetime(t *testing.T) {
	b := local(t)
	server := serve(t, nil)
	for headers, want := range map[string]time.Duration{
		"":                                                        time.Hour,
		"Cache-Control: public":                                   time.Hour,
		"Cache-Control: s-maxage=60":                              time.Hour,
		"Expires: Thu, 01 Jan 1970 00:00:00 GMT":                  time.Hour,
		"Cache-Control: max-age=0":                                5 * time.Minute,
		"Cache-Control: max-age=1":                                5 * time.Minute,
		"Cache-Control: no-store":                                 5 * time.Minute,
		"Cache-Control: max-age=7200, no-cache":                   5 * time.Minute,
		"Cache-Control: max-age=soon":                             5 * time.Minute,
		"Cache-Control: max-age=-1":                               5 * time.Minute,
		"Cache-Control: max-age":                                  5 * time.Minute,
		"Cache-Control: public, MAX-AGE=7200":                     2 * time.Hour,
		`Cache-Control: max-age="7200"`:                           2 * time.Hour,
		"Cache-Control: max-age=315360000":                        24 * time.Hour,
		"Cache-Control: max-age=99999999999999999999":             24 * time.Hour,
		"Cache-Control: max-age=7200|Age: 3600":                   time.Hour,
		"Cache-Control: max-age=7200|Age: 7100":                   5 * time.Minute,
		"Cache-Control: max-age=7200|Age: 99999999999":            5 * time.Minute,
		"Cache-Control: max-age=7200|Age: old":                    2 * time.Hour,
		"Age: 3600":                                               time.Hour,
		"Cache-Control: max-age=7200|Cache-Control: max-age=3600": 2 * time.Hour,
		"Cache-Control: public|Cache-Control: no-store":           5 * time.Minute,
	} {
		var lines []string
		if headers != "" {
			lines = strings.Split(headers, "|")
		}
		server.answers(withKeys(keySet("k"), lines...))
		r, err := b.Probe(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		if r.Kept != want {
			t.Errorf("%q: kept for %v, want %v", headers, r.Kept, want)
		}
	}
}
