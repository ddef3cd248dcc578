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
	Issuer     string     `name:"issuer" placeholder:"ORIGIN" absent:"derived from the address when embedded (http://localhost:8080), required with Redis" example:"https://auth.example.com" help:"Issuer identifier: an origin without a path, as services reach Mintkeep. Every advertised URL begins with it; the Host header has no influence. Warns when http is used on a non-loopback address."`
	RedisURL   Secret     `name:"redis-url" secret:"flag" placeholder:"URL" absent:"the embedded store, in memory" example:"redis://localhost:6379/0" help:"URL of Redis: redis://, redis+sentinel://h1,h2/master or redis+cluster://h1,h2; for TLS rediss://, rediss+sentinel:// or rediss+cluster://. The flag does not accept a password."`
	MasterKeys MasterKeys `name:"master-key" secret:"" absent:"random when embedded, required with Redis" example:"$(openssl rand -base64 32)" help:"32 random bytes in base64. It encrypts signing keys and password hashes at rest. To rotate, list keys separated by commas: the first encrypts, all decrypt."`
	AdminToken Secret     `name:"admin-token" secret:"" absent:"random and printed when embedded, off with Redis" example:"$(openssl rand -hex 32)" help:"Static bearer token for /admin, to set up the first users and clients: at least 32 printable ASCII characters."`

	AdminTokenNext Secret `name:"admin-token-next" secret:"" absent:"none" example:"$(openssl rand -hex 32)" help:"A second admin token, accepted in addition while you replace the first. It must differ from the first."`

	TokenTTL        time.Duration `name:"token-ttl" default:"1h" placeholder:"DURATION" example:"1h" help:"Default lifetime of an access token. A client may be registered with its own."`
	TokenTTLMax     time.Duration `name:"token-ttl-max" default:"24h" placeholder:"DURATION" example:"24h" help:"Longest token lifetime that a client may be registered with."`
	SigningAlg      string        `name:"signing-alg" default:"ES256" placeholder:"ALG" example:"ES256" help:"Algorithm of the next signing key that is created: ES256, EdDSA or RS256."`
	SigningRotation time.Duration `name:"signing-rotation" default:"720h" placeholder:"DURATION" example:"720h" help:"Age at which the signing key is rotated, at least 1h. 0 means manual rotation only."`
	Audience        string        `name:"audience" placeholder:"URI" absent:"the issuer" example:"https://api.example.com" help:"Default aud of a token: used when the request names no resource and the client has no audience of its own. Also the aud of every API key."`
	KeyScopes       KeyScopes     `name:"key-scopes" default:"read write" placeholder:"SCOPES" example:"read write" help:"Scopes that developers may give to their API keys, separated by spaces; or with descriptions, separated by semicolons: read=Read orders;write=Write orders. Must not contain a mintkeep: scope."`
	KeyPrefix       string        `name:"key-prefix" default:"mk" placeholder:"PREFIX" example:"mk" help:"Prefix of new API keys, secrets and opaque tokens: a lower-case letter, then one to seven lower-case letters or digits."`
	KeyCreateRate   Rate          `name:"key-create-rate" default:"60/m" placeholder:"RATE" example:"60/m" help:"How many API keys one user may create or rotate in a time window of one second, minute or hour, such as 60/m. Operators at /admin are not limited."`

	IntrospectOwner string `name:"introspect-owner" default:"off" placeholder:"off|email" example:"email" help:"email tells the services that introspect an API key the email address of its owner (username). off: they learn the user's id alone."`

	MetadataCompat bool `name:"metadata-compat" default:"true" placeholder:"BOOL" example:"true" help:"true adds authorization_endpoint, response_types_supported and code_challenge_methods_supported to the metadata, which MCP SDKs require although Mintkeep has no sign-in for them. GET and POST /oauth/authorize then always answer 400. false removes all of this."`

	AssertionAudience []string `name:"assertion-audience" default:"issuer" placeholder:"LIST" example:"issuer" help:"What client assertions (private_key_jwt) may name as aud: issuer, or issuer,token_endpoint for old libraries that send the URL of the token endpoint. Warns when token_endpoint is accepted."`

	RevokeDurability Durability `name:"revoke-durability" default:"ack" placeholder:"MODE" example:"fsync" help:"What must hold before a revocation is answered with success: ack (Redis has applied it), fsync (it is on Redis's disk) or replicas:N (N Redis replicas have it, 1 to 9). The server refuses to start if Redis cannot guarantee it."`

	Feed        bool `name:"feed" default:"on" placeholder:"on|off" example:"on" help:"on tells guards, which keep the answers of introspection in memory, of each revocation (POST /oauth/changes). off: there is no feed, and guards ask at each call. Set it to the same on all replicas."`
	FeedWaiting int  `name:"feed-waiting" default:"8192" placeholder:"COUNT" example:"8192" help:"How many polls of guards one replica holds at once, 1 to 1000000. Further polls are answered with 503."`

	TrustedProxies []netip.Prefix `name:"trusted-proxies" placeholder:"CIDR,..." absent:"none" example:"10.0.0.0/8,192.0.2.7" help:"Addresses and networks of your reverse proxies, separated by commas. X-Forwarded-For is trusted only from these."`
	AdminAddr      string         `name:"admin-addr" placeholder:"HOST:PORT" absent:"they are served at MINTKEEP_ADDR" example:"127.0.0.1:8081" help:"Listen address of what is for operators: /admin and the pages under /operator, with a sign-in of their own. They are not served at MINTKEEP_ADDR then."`
	AdminURL       string         `name:"admin-url" placeholder:"ORIGIN" absent:"derived from a loopback MINTKEEP_ADMIN_ADDR (http://localhost:8081), required with another" example:"https://admin.internal.example" help:"Origin at which operators reach MINTKEEP_ADMIN_ADDR. Its cookies, forms and links are for this origin. The commands that call /admin take it too."`
	TLSCert        string         `name:"tls-cert" placeholder:"PATH" absent:"none" example:"/etc/mintkeep/tls.crt" help:"File with the certificate chain in PEM. If it is set, the server uses TLS. It is reloaded when the file changes."`
	TLSKey         string         `name:"tls-key" placeholder:"PATH" absent:"none" example:"/etc/mintkeep/tls.key" help:"File with the private key of the certificate in PEM."`

	FetchAllow FetchAllow `name:"fetch-allow" placeholder:"CIDR|HOST,..." absent:"none" example:"10.20.0.0/16,keys.internal.example" help:"Networks, addresses and host names, separated by commas, that the keys of clients (jwks_uri) may be fetched from although they are not public. On a loopback address of these also by http."`
	FetchCA    string     `name:"fetch-ca" placeholder:"PATH" absent:"none" example:"/etc/mintkeep/fetch-ca.pem" help:"File with more root certificates in PEM for fetching keys. They count for what MINTKEEP_FETCH_ALLOW lists; other hosts need a certificate of a root of the system. It is reloaded at SIGHUP."`
	FetchProxy string     `name:"fetch-proxy" placeholder:"URL" absent:"none" example:"http://proxy.internal.example:3128" help:"http proxy for fetching keys. The proxy then decides which addresses are reached. HTTPS_PROXY has no effect."`

	MetricsAddr string     `name:"metrics-addr" default:"127.0.0.1:9464" empty:"off" placeholder:"HOST:PORT" example:"127.0.0.1:9464" help:"Listen address of the Prometheus metrics. Set to empty to disable. On a loopback address only requests with a loopback Host are answered."`
	PProf       bool       `name:"pprof" default:"false" placeholder:"BOOL" example:"true" help:"true serves Go profiles (/debug/pprof/) at the metrics address, which must be a loopback address."`
	LogLevel    slog.Level `name:"log-level" default:"info" placeholder:"LEVEL" example:"info" help:"Lowest level that is logged: debug, info, warn or error."`
	LogFormat   string     `name:"log-format" placeholder:"FORMAT" absent:"text on a terminal, else json" example:"json" help:"Format of the log: text or json."`
	AuditLog    string     `name:"audit-log" default:"off" placeholder:"off|stdout|PATH" example:"/var/log/mintkeep/audit.jsonl" help:"Where each event of the audit log is also written, as one line of JSON: off, stdout, or the path of a file, which is created with mode 0600 and reopened at SIGHUP."`

	// Tracing has no flags: its variables are those of OpenTelemetry.
	Tracing Tracing

	// Derived values follow the listener's real port (see Listening).
	issuerDerived, audienceDerived, adminDerived bool

	adminTokenDrawn bool
}

// AdminTokenDrawn is whether the admin token is a random one of this process, because none was set.
func (c *Config) AdminTokenDrawn() bool { return c.adminTokenDrawn }

// Embedded is whether no Redis is configured, so that the data is in the memory of
// this process and lost when it exits.
func (c *Config) Embedded() bool { return c.RedisURL == "" }

// TLS is whether the server speaks TLS itself.
func (c *Config) TLS() bool { return c.TLSCert != "" }

// Loopback is whether only this machine can reach the server.
func (c *Config) Loopback() bool { return Loopback(c.Addr) }

// SeparateAdmin is whether /admin and the pages for operators are on a listener of their own.
func (c *Config) SeparateAdmin() bool { return c.AdminAddr != "" }

// AdminOrigin is the origin of /admin and of the pages for operators: the issuer if they have no listener of their own.
func (c *Config) AdminOrigin() string {
	if c.SeparateAdmin() {
		return c.AdminURL
	}
	return c.Issuer
}

// AdminListening sets the address of the listener for operators, as Listening does that of the other.
func (c *Config) AdminListening(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && c.adminDerived {
		host, _ := splitAddr(c.AdminAddr)
		c.AdminURL = originOf(host, tcp.Port, c.TLS())
	}
}

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
