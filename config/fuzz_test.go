package config_test

import (
	"testing"

	"github.com/mintkeep/mintkeep/config"
)

// What is canonical stays as it is: an issuer read twice is the same issuer.
func FuzzParseOrigin(f *testing.F) {
	for _, seed := range []string{"https://auth.example.com", "HTTP://A:80/", "https://[::1]:8443", "https://u@h", "https://h?#"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := config.ParseOrigin(s)
		if err != nil {
			return
		}
		if twice, err := config.ParseOrigin(once); err != nil || twice != once {
			t.Errorf("%q became %q, then %q, %v", s, once, twice, err)
		}
	})
}

// Whatever the environment holds, loading ends in a config or in mistakes.
func FuzzLoad(f *testing.F) {
	for i, s := range config.Settings() {
		f.Add(uint8(i), s.Example)
	}
	f.Fuzz(func(t *testing.T, i uint8, value string) {
		settings := config.Settings()
		s := settings[int(i)%len(settings)]
		cfg, _, err := config.Load(config.Source{Flags: map[string]string{s.Flag: value}})
		if (cfg == nil) == (err == nil) {
			t.Errorf("%s=%q: got %v, %v", s.Name, value, cfg, err)
		}
	})
}
