package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Config for [New]. Issuer, ClientID, Audiences, and one of ClientSecret, ClientSecretFile and Token are required.
type Config struct {
	// Issuer is Mintkeep's issuer, an https URL; http is accepted for a loopback host.
	Issuer string

	// ClientID is a client that is registered with the scope mintkeep:introspect.
	ClientID string
	// ClientSecret is its secret. ClientSecretFile is a file that has it, which is read again when Mintkeep says 401.
	ClientSecret     string
	ClientSecretFile string
	// Token is for a client without a secret: it returns an access token with the scope mintkeep:introspect.
	Token func(context.Context) (string, error)

	// Audiences are the names of this service: one of them must be in the aud of each credential (RFC 9068 §4, RFC 7662
	// §2.2). API keys have the audience that Mintkeep is configured with.
	Audiences []string

	// MaxStale is how long after a revocation was acknowledged a check may still be answered from memory: the lease of
	// docs/feed.md. 300 ms to 10 s. Zero: 1 s.
	MaxStale time.Duration
	// WhenStale is what happens when the feed has not answered for MaxStale. The zero Mode is [Ask].
	WhenStale Mode
	// MaxEntries is how many credentials are remembered, some 400 bytes each. Zero: 100,000.
	MaxEntries int

	// ResourceMetadata is the URL of this service's metadata (RFC 9728 §5.1), for challenges. Empty: derived from PublicURL, if
	// that is given.
	ResourceMetadata string
	// PublicURL is the URL of this service as its callers see it, for ResourceMetadata and [Guard.Metadata].
	PublicURL string

	// Refuse writes a refusal. Nil: as RFC 6750 §3 says, with a JSON object.
	Refuse func(http.ResponseWriter, *http.Request, *Refusal)

	// HTTPClient sends the requests to Mintkeep, for proxies and certificates of your own. Its Timeout must be zero. Polls have
	// connections of their own if its Transport is an *http.Transport. Nil: one with the guard's own connections.
	HTTPClient *http.Client
	Logger     *slog.Logger // nil: slog.Default
	// Observe is told what happens, for metrics. It must not block. Nil: nothing is told.
	Observe func(Event)
}

// Mode is what a guard does when it is stale. See [Ask], [Closed] and [Grace].
type Mode struct {
	closed bool
	grace  time.Duration
}

var (
	// Ask asks Mintkeep at each call, as a service without a guard does. It is the default.
	Ask = Mode{}
	// Closed answers 503 until the feed answers again.
	Closed = Mode{closed: true}
)

// Grace answers from memory for so much longer, at most an hour, and then asks. A revocation may take effect so much later
// while Mintkeep cannot be reached.
func Grace(d time.Duration) Mode { return Mode{grace: d} }

const (
	defaultMaxStale   = time.Second
	minMaxStale       = 300 * time.Millisecond
	maxMaxStale       = 10 * time.Second
	defaultMaxEntries = 100_000
	maxGrace          = time.Hour
)

// ConfigError is an error in one field of a [Config]. The errors of [New] and [Config.Validate] join one for each wrong field.
type ConfigError struct {
	Field   string // of the Config
	Problem string // what is wrong, and what to do
}

func (e *ConfigError) Error() string { return "guard: Config." + e.Field + ": " + e.Problem }

// Validate returns all errors in the Config, as [New] does.
func (c Config) Validate() error { return c.complete() }

// complete sets the defaults, and returns all errors.
func (c *Config) complete() error {
	c.setDefaults()
	var mistakes []error
	wrong := func(field, format string, args ...any) {
		mistakes = append(mistakes, &ConfigError{field, fmt.Sprintf(format, args...)})
	}
	if err := checkURL(c.Issuer); err != nil {
		wrong("Issuer", "%v", err)
	}
	if c.ClientID == "" {
		wrong("ClientID", "is empty: name a client with the scope mintkeep:introspect")
	}
	ways := 0
	for _, given := range []bool{c.ClientSecret != "", c.ClientSecretFile != "", c.Token != nil} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		wrong("ClientSecret", "set one of ClientSecret, ClientSecretFile and Token: %d are set", ways)
	}
	if c.ClientSecretFile != "" {
		if _, err := readSecret(c.ClientSecretFile); err != nil {
			wrong("ClientSecretFile", "%v", err)
		}
	}
	if len(c.Audiences) == 0 {
		wrong("Audiences", "is empty: name this service as tokens for it do")
	}
	if c.MaxStale < minMaxStale || c.MaxStale > maxMaxStale {
		wrong("MaxStale", "%v is not from %v to %v", c.MaxStale, minMaxStale, maxMaxStale)
	}
	if c.MaxEntries < 1 {
		wrong("MaxEntries", "%d is less than 1", c.MaxEntries)
	}
	if c.WhenStale.grace < 0 || c.WhenStale.grace > maxGrace {
		wrong("WhenStale", "a grace of %v is not from 0s to %v", c.WhenStale.grace, maxGrace)
	}
	if c.PublicURL != "" {
		if err := checkURL(c.PublicURL); err != nil {
			wrong("PublicURL", "%v", err)
		}
	}
	if c.HTTPClient != nil && c.HTTPClient.Timeout != 0 {
		wrong("HTTPClient", "its Timeout is %v, and must be zero, since a poll waits", c.HTTPClient.Timeout)
	}
	return errors.Join(mistakes...)
}

// lease is for how long after what it knows a guard may answer from memory.
func (c *Config) lease() time.Duration { return c.MaxStale + c.WhenStale.grace }

func (c *Config) setDefaults() {
	if c.MaxStale == 0 {
		c.MaxStale = defaultMaxStale
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = defaultMaxEntries
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

func checkURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("not a URL")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("%q is not an http or https URL without query and fragment", text)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%q sends credentials in plain text: use https", text)
	}
	return nil
}

func isLoopback(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}

func readSecret(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", errors.New("the file is empty")
	}
	return secret, nil
}
