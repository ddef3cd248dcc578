package config

import (
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Config holds the settings of one server, checked and complete.
//
// The tags are read by [Settings]:
//
//	name         the flag; MINTKEEP_ and the name in capitals is the variable
//	help         the meaning
//	default      the value if none is given
//	embedded     the default while no Redis is configured
//	absent       what happens without a value, in words
//	placeholder  what the help shows for the flag's value
//	example      a value that is accepted; for a secret, how to create one
//	secret       is set by environment or file; "flag" allows a flag as well
//	empty        the meaning of set but empty
type Config struct {
	Addr       string     `name:"addr" default:":8080" embedded:"127.0.0.1:8080" placeholder:"HOST:PORT" example:"127.0.0.1:8080" help:"Listen address."`
	Issuer     string     `name:"issuer" placeholder:"ORIGIN" absent:"derived from the address when embedded (http://localhost:8080), required with Redis" example:"https://auth.example.com" help:"Issuer identifier: an origin without a path. Every advertised URL begins with it, whatever the Host header says. Plain http off loopback is warned of."`
	RedisURL   Secret     `name:"redis-url" secret:"flag" placeholder:"URL" absent:"the embedded store, in memory" example:"redis://localhost:6379/0" help:"Where the data is kept: redis://, rediss:// (TLS), redis+sentinel://h1,h2/master or redis+cluster://h1,h2, the last two with rediss+ as well. The flag takes no password."`
	MasterKeys MasterKeys `name:"master-key" secret:"" absent:"random when embedded, required with Redis" example:"$(openssl rand -base64 32)" help:"32 random bytes in base64, which encrypt signing keys and password hashes at rest. A comma list changes it: the first writes, all read."`
	AdminToken Secret     `name:"admin-token" secret:"" absent:"random and printed when embedded, off with Redis" example:"$(openssl rand -hex 32)" help:"Bearer token for /admin that needs no client: at least 32 printable ASCII characters."`

	AdminTokenNext Secret `name:"admin-token-next" secret:"" absent:"none" example:"$(openssl rand -hex 32)" help:"A second admin token, which is accepted too while the first is changed. It differs from the first."`

	TokenTTL        time.Duration `name:"token-ttl" default:"1h" placeholder:"DURATION" example:"1h" help:"Lifetime of an access token, unless its client is registered with another."`
	TokenTTLMax     time.Duration `name:"token-ttl-max" default:"24h" placeholder:"DURATION" example:"24h" help:"Longest lifetime that a client may be registered with."`
	SigningAlg      string        `name:"signing-alg" default:"ES256" placeholder:"ALG" example:"ES256" help:"ES256, EdDSA or RS256: the algorithm of the next signing key that is made."`
	SigningRotation time.Duration `name:"signing-rotation" default:"720h" placeholder:"DURATION" example:"720h" help:"Age at which the signing key is replaced, at least 1h. 0 rotates by hand only."`
	Audience        string        `name:"audience" placeholder:"URI" absent:"the issuer" example:"https://api.example.com" help:"The aud of a token when the request names no resource and the client has no audience of its own."`
	KeyScopes       []string      `name:"key-scopes" default:"read write" placeholder:"SCOPES" example:"read write" help:"Scopes that developers may give to their API keys, separated by spaces. None of Mintkeep's own."`
	KeyPrefix       string        `name:"key-prefix" default:"mk" placeholder:"PREFIX" example:"mk" help:"Brand of new API keys, secrets and opaque tokens: a lower-case letter, then one to seven letters or digits."`
	KeyCreateRate   Rate          `name:"key-create-rate" default:"60/m" placeholder:"RATE" example:"60/m" help:"How many API keys one user may create and rotate for themselves: a number and a window of s, m or h, as a client's rate_limit has it. Operators at /admin are not limited."`

	RevokeDurability Durability `name:"revoke-durability" default:"ack" placeholder:"MODE" example:"fsync" help:"What must hold before a revocation is answered with success: ack (Redis has carried it out), fsync (it is on Redis's disk) or replicas:N (N replicas have it, 1 to 9). A start is refused where this Redis cannot give it."`

	TrustedProxies []netip.Prefix `name:"trusted-proxies" placeholder:"CIDR,..." absent:"none" example:"10.0.0.0/8,192.0.2.7" help:"Addresses and networks whose X-Forwarded-For is believed."`
	TLSCert        string         `name:"tls-cert" placeholder:"PATH" absent:"none" example:"/etc/mintkeep/tls.crt" help:"Certificate chain in PEM: serve TLS. Read again when the file changes."`
	TLSKey         string         `name:"tls-key" placeholder:"PATH" absent:"none" example:"/etc/mintkeep/tls.key" help:"The certificate's private key in PEM."`

	MetricsAddr string     `name:"metrics-addr" default:"127.0.0.1:9464" empty:"off" placeholder:"HOST:PORT" example:"127.0.0.1:9464" help:"Listen address of the Prometheus metrics. Set but empty: off. On a loopback address it answers requests for a loopback host alone."`
	PProf       bool       `name:"pprof" default:"false" placeholder:"BOOL" example:"true" help:"true: profiles (/debug/pprof/) at the metrics address, which must be loopback."`
	LogLevel    slog.Level `name:"log-level" default:"info" placeholder:"LEVEL" example:"info" help:"debug, info, warn or error."`
	LogFormat   string     `name:"log-format" placeholder:"FORMAT" absent:"text on a terminal, else json" example:"json" help:"text or json."`

	// Derived values follow the listener's real port (see Listening).
	issuerDerived, audienceDerived bool
}

// Embedded is whether no Redis is configured, so that the data is in the memory of
// this process and lost when it exits.
func (c *Config) Embedded() bool { return c.RedisURL == "" }

// TLS is whether the server speaks TLS itself.
func (c *Config) TLS() bool { return c.TLSCert != "" }

// Loopback is whether only this machine can reach the server.
func (c *Config) Loopback() bool { return Loopback(c.Addr) }

// Listening sets the address of the listener. It matters if the system chose the
// port (":0") and the issuer is derived from the address.
func (c *Config) Listening(addr net.Addr) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !c.issuerDerived {
		return
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return
	}
	c.Issuer = originOf(host, tcp.Port, c.TLS())
	if c.audienceDerived {
		c.Audience = c.Issuer
	}
}
