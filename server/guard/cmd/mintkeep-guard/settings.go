package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/guard"
)

// settings are read from the environment:
//
//	MINTKEEP_ISSUER                the issuer of Mintkeep
//	MINTKEEP_CLIENT_ID             a client with the scope mintkeep:introspect
//	MINTKEEP_CLIENT_SECRET_FILE    its secret
//	MINTKEEP_GUARD_AUDIENCES       the names of the service, separated by commas
//	MINTKEEP_GUARD_ADDR            127.0.0.1:8181, or unix:/run/mintkeep-guard.sock
//	MINTKEEP_GUARD_MAX_STALE       1s
//	MINTKEEP_GUARD_WHEN_STALE      ask, closed or grace:10s
//	MINTKEEP_GUARD_MAX_ENTRIES     100000
//	MINTKEEP_GUARD_PUBLIC_URL      the URL of the service, for the challenges
//	MINTKEEP_GUARD_TOKEN_FILE      what callers of /introspect send as Bearer; without it they send nothing
type settings struct {
	guard guard.Config
	addr  string
	token string
}

const listenAnywhere = "--listen-anywhere"

// guardSettings are those that begin with MINTKEEP_GUARD_.
var guardSettings = []string{
	"MINTKEEP_GUARD_AUDIENCES", "MINTKEEP_GUARD_ADDR", "MINTKEEP_GUARD_MAX_STALE", "MINTKEEP_GUARD_WHEN_STALE", "MINTKEEP_GUARD_MAX_ENTRIES",
	"MINTKEEP_GUARD_PUBLIC_URL", "MINTKEEP_GUARD_TOKEN_FILE",
}

// readSettings reads the settings. environ has the names of all variables, of which some may be misspelt.
func readSettings(args []string, getenv func(string) string, environ []string) (s settings, err error) {
	var mistakes []error
	wrong := func(name, format string, a ...any) {
		mistakes = append(mistakes, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, a...)))
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "MINTKEEP_GUARD_") && !slices.Contains(guardSettings, name) {
			wrong(name, "is not a setting of this version")
		}
	}
	for _, arg := range args {
		if arg != listenAnywhere {
			wrong(arg, "unknown argument; the only one is %s", listenAnywhere)
		}
	}
	s.guard = guard.Config{
		Issuer: getenv("MINTKEEP_ISSUER"), ClientID: getenv("MINTKEEP_CLIENT_ID"),
		ClientSecretFile: getenv("MINTKEEP_CLIENT_SECRET_FILE"), PublicURL: getenv("MINTKEEP_GUARD_PUBLIC_URL"),
	}
	for _, name := range []string{"MINTKEEP_ISSUER", "MINTKEEP_CLIENT_ID", "MINTKEEP_CLIENT_SECRET_FILE", "MINTKEEP_GUARD_AUDIENCES"} {
		if getenv(name) == "" {
			wrong(name, "is required")
		}
	}
	for name := range strings.SplitSeq(getenv("MINTKEEP_GUARD_AUDIENCES"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.guard.Audiences = append(s.guard.Audiences, name)
		}
	}
	if text := getenv("MINTKEEP_GUARD_MAX_STALE"); text != "" {
		if s.guard.MaxStale, err = time.ParseDuration(text); err != nil {
			wrong("MINTKEEP_GUARD_MAX_STALE", "%q is no duration, such as 1s", text)
		}
	}
	if text := getenv("MINTKEEP_GUARD_MAX_ENTRIES"); text != "" {
		if s.guard.MaxEntries, err = strconv.Atoi(text); err != nil {
			wrong("MINTKEEP_GUARD_MAX_ENTRIES", "%q is no number", text)
		}
	}
	if s.guard.WhenStale, err = parseMode(getenv("MINTKEEP_GUARD_WHEN_STALE")); err != nil {
		wrong("MINTKEEP_GUARD_WHEN_STALE", "%v", err)
	}
	s.addr = addrOf(getenv)
	if !isAddr(s.addr) {
		wrong("MINTKEEP_GUARD_ADDR", "%q is not HOST:PORT or unix:PATH", s.addr)
	} else if !isLocal(s.addr) && !slices.Contains(args, listenAnywhere) {
		wrong("MINTKEEP_GUARD_ADDR", "%s can be reached from other machines: use loopback or unix:PATH, or start with %s", s.addr, listenAnywhere)
	}
	for _, m := range mistakesOf(s.guard) {
		name := variables[m.Field]
		if !slices.ContainsFunc(mistakes, func(err error) bool { return strings.HasPrefix(err.Error(), name+": ") }) {
			wrong(name, "%s", m.Problem)
		}
	}
	if path := getenv("MINTKEEP_GUARD_TOKEN_FILE"); path != "" {
		if s.token, err = readToken(path); err != nil {
			wrong("MINTKEEP_GUARD_TOKEN_FILE", "%v", err)
		}
	}
	return s, errors.Join(mistakes...)
}

// addrOf is where the guard listens.
func addrOf(getenv func(string) string) string {
	if addr := getenv("MINTKEEP_GUARD_ADDR"); addr != "" {
		return addr
	}
	return "127.0.0.1:8181"
}

// variables are the settings behind the fields of the guard's Config.
var variables = map[string]string{
	"Issuer": "MINTKEEP_ISSUER", "ClientID": "MINTKEEP_CLIENT_ID", "ClientSecret": "MINTKEEP_CLIENT_SECRET_FILE",
	"ClientSecretFile": "MINTKEEP_CLIENT_SECRET_FILE", "Audiences": "MINTKEEP_GUARD_AUDIENCES", "MaxStale": "MINTKEEP_GUARD_MAX_STALE",
	"WhenStale": "MINTKEEP_GUARD_WHEN_STALE", "MaxEntries": "MINTKEEP_GUARD_MAX_ENTRIES", "PublicURL": "MINTKEEP_GUARD_PUBLIC_URL",
}

// mistakesOf are those that the guard finds.
func mistakesOf(c guard.Config) (all []*guard.ConfigError) {
	var joined interface{ Unwrap() []error }
	if !errors.As(c.Validate(), &joined) {
		return nil
	}
	for _, err := range joined.Unwrap() {
		var m *guard.ConfigError
		if errors.As(err, &m) {
			all = append(all, m)
		}
	}
	return all
}

func parseMode(text string) (guard.Mode, error) {
	grace, isGrace := strings.CutPrefix(text, "grace:")
	switch {
	case text == "", text == "ask":
		return guard.Ask, nil
	case text == "closed":
		return guard.Closed, nil
	case isGrace:
		d, err := time.ParseDuration(grace)
		return guard.Grace(d), err
	}
	return guard.Ask, fmt.Errorf("%q is not ask, closed or grace:DURATION", text)
}

// isAddr is whether an address can be listened on.
func isAddr(addr string) bool {
	if path, isSocket := strings.CutPrefix(addr, "unix:"); isSocket {
		return path != ""
	}
	_, port, err := net.SplitHostPort(addr)
	return err == nil && port != ""
}

func isLocal(addr string) bool {
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "localhost" {
		return err == nil
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
