package config_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/mintkeep/mintkeep/config"
)

const (
	plainHTTP = "MINTKEEP_ISSUER is http on a non-loopback address: secrets and tokens are sent unencrypted; use TLS, here or at a proxy in front, and set an issuer that begins with https"
	inMemory  = "MINTKEEP_ADDR is reachable from other machines, and the embedded store keeps its data in memory only: the data is lost on exit; set MINTKEEP_REDIS_URL to keep it"
	noEffect  = " is not a setting of this version and has no effect"
)

func TestWarnings(t *testing.T) {
	open := file(t, "token", adminToken, 0o644)
	cert, key := keyPair(t, 0o644)
	tests := []struct {
		name    string
		environ []string
		want    []string
	}{
		{"canonical", []string{"MINTKEEP_ISSUER=HTTPS://Auth.Example.COM:443/"}, []string{"MINTKEEP_ISSUER is used in its canonical form, https://auth.example.com"}},
		{"http off loopback", []string{"MINTKEEP_ISSUER=http://auth.example.com"}, []string{plainHTTP}},
		{"operators by http off loopback", withRedis("MINTKEEP_ADMIN_ADDR=:8081", "MINTKEEP_ADMIN_URL=http://admin.internal.example"), []string{"MINTKEEP_ADMIN_URL is http on a non-loopback address: passwords and admin tokens are sent unencrypted; use TLS, here or at a proxy in front, and set an origin that begins with https"}},
		{"http on loopback", []string{"MINTKEEP_ISSUER=http://[::1]:8080"}, nil},
		{"http on localhost", []string{"MINTKEEP_ISSUER=http://auth.localhost:8080"}, nil},
		{"embedded on every address", []string{"MINTKEEP_ADDR=:8080"}, []string{inMemory}},
		{"embedded on one address", []string{"MINTKEEP_ADDR=192.0.2.1:8080"}, []string{plainHTTP, inMemory}},
		{"with Redis on every address", withRedis("MINTKEEP_ADDR=:8080"), nil},
		{"trusts everybody", withRedis("MINTKEEP_TRUSTED_PROXIES=::/0,0.0.0.0/0"), []string{"MINTKEEP_TRUSTED_PROXIES trusts every address: any caller can choose the address that the limits and the audit log use"}},
		{"assertions for the token endpoint", []string{"MINTKEEP_ASSERTION_AUDIENCE=token_endpoint, issuer"}, []string{"MINTKEEP_ASSERTION_AUDIENCE accepts assertions for the URL of the token endpoint, which another server may use to obtain assertions that are valid here; remove token_endpoint once every client sends the issuer as aud"}},
		{"keys from everywhere", withRedis("MINTKEEP_FETCH_ALLOW=::/0"), []string{"MINTKEEP_FETCH_ALLOW allows every address: an operator who registers a jwks_uri can have the server connect to each host of your network; list only the hosts that have keys"}},
		{"roots for nothing", withRedis("MINTKEEP_FETCH_CA=" + cert), []string{"MINTKEEP_FETCH_CA has no effect without MINTKEEP_FETCH_ALLOW: its roots count only for the hosts and networks that are listed there"}},
		{"open secret", []string{"MINTKEEP_ADMIN_TOKEN_FILE=" + open}, []string{"MINTKEEP_ADMIN_TOKEN_FILE: every user of this machine can read " + open + ": run chmod 0600 on it"}},
		{"open key", []string{"MINTKEEP_TLS_CERT=" + cert, "MINTKEEP_TLS_KEY=" + key}, []string{"MINTKEEP_TLS_KEY: every user of this machine can read " + key + ": run chmod 0600 on it"}},
		{"slip", []string{"MINTKEEP_ISUER=x"}, []string{"MINTKEEP_ISUER" + noEffect + "; did you mean MINTKEEP_ISSUER?"}},
		{"word too few", []string{"MINTKEEP_REDIS=x", "MINTKEEP_TTL=x"}, []string{"MINTKEEP_REDIS" + noEffect + "; did you mean MINTKEEP_REDIS_URL?", "MINTKEEP_TTL" + noEffect + "; did you mean MINTKEEP_TOKEN_TTL?"}},
		{"no secret, no file", []string{"MINTKEEP_ISSUER_FILE=x"}, []string{"MINTKEEP_ISSUER_FILE" + noEffect + "; did you mean MINTKEEP_ISSUER?"}},
		{"of the other commands", []string{"MINTKEEP_URL=x", "MINTKEEP_CLIENT_ID=x", "MINTKEEP_CLIENT_SECRET=x", "MINTKEEP_CLIENT_SECRET_FILE=x", "MINTKEEP_TEST_REQUIRE=redis"}, nil},
		{"made by Kubernetes", []string{"MINTKEEP_SERVICE_HOST=10.0.0.1", "MINTKEEP_SERVICE_PORT_HTTP=80", "MINTKEEP_PORT=tcp://10.0.0.1:80", "MINTKEEP_PORT_80_TCP_ADDR=10.0.0.1"}, nil},
		{"of others", []string{"PATH=/bin", "mintkeep_addr=x", "MINTKEEPER=x", "novalue"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, got := load(t, config.Source{Environ: tt.environ})
			if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Errorf("warnings (-want +got):\n%s", d)
			}
		})
	}
}
