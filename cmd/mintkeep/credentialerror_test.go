package main

import (
	"strings"
	"testing"

	"github.com/mintkeep/mintkeep/server/credential"
)

// A credential that was put on the command line is not repeated to the standard error, which logs keep.
func TestErrorsHideCredentials(t *testing.T) {
	const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
	secret := credential.NewSecret("mk")
	for _, args := range []string{
		"introspect " + secret, "introspect --json " + secret, "introspect --" + secret, "introspect " + jwt,
		"key list --limit=" + secret, "client update billing --token-ttl=" + secret, "signing-key " + secret,
	} {
		got := mintkeep(t, nil, "", strings.Fields(args)...)
		if said := got.stdout + got.stderr; got.code != exitUsage || strings.Contains(said, secret) || strings.Contains(said, jwt) {
			t.Errorf("%s\ngot %d: %s", args, got.code, said)
		}
	}
}
