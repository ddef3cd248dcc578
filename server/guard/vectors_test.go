package guard

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Guards in other languages are tested with docs/guard-vectors.json. docs/feed.md explains it. It has what this guard does.

var update = flag.Bool("update", false, "whether docs/guard-vectors.json is rewritten")

const vectorsFile = "../../docs/guard-vectors.json"

type vectors struct {
	About       string             `json:"about"`
	Config      vectorConfig       `json:"config"`
	Keys        jose.JSONWebKeySet `json:"keys"`
	Credentials []credentialVector `json:"credentials"`
	Verdicts    []verdictVector    `json:"verdicts"`
	Sequences   []sequenceVector   `json:"sequences"`
	Refusals    []refusalVector    `json:"refusals"`
}

type vectorConfig struct {
	Issuer    string   `json:"issuer"`
	Audiences []string `json:"audiences"`
	PublicURL string   `json:"public_url"`
	Lease     int64    `json:"lease"`
	// Credential is that of all verdicts and sequences.
	Credential string `json:"credential"`
}

// credentialVector is whether a credential is asked about, or rejected without a question.
type credentialVector struct {
	Name       string `json:"name"`
	Credential string `json:"credential"`
	Handle     string `json:"handle"`
	Asked      bool   `json:"asked"`
	Reason     string `json:"reason,omitempty"`
}

// verdictVector is what an answer of introspection means for a route.
type verdictVector struct {
	Name     string          `json:"name"`
	Answer   json.RawMessage `json:"answer"`
	Requires []string        `json:"requires"` // scopes
	Status   int             `json:"status"`
	Reason   string          `json:"reason,omitempty"`
}

// sequenceVector is what a guard does with answers, one after another.
type sequenceVector struct {
	Name  string `json:"name"`
	Steps []step `json:"steps"`
}

// step happens At so many milliseconds, by the guard's monotonic clock. Wall is the wall clock, if it shows something else.
type step struct {
	At   int64  `json:"at"`
	Wall *int64 `json:"wall,omitempty"`
	// Do is poll (one is sent), polled (its answer arrives), ask (a question about the credential is sent), asked (its answer
	// arrives), or check (a caller presents the credential).
	Do     string          `json:"do"`
	Answer json.RawMessage `json:"answer,omitempty"`
	Want   *outcome        `json:"want,omitempty"` // of a check
}

type outcome struct {
	State   State  `json:"state"`
	KnownAt *int64 `json:"known_at,omitempty"` // absent: it knows of nothing yet
	By      string `json:"by"`                 // memory, ask, or reject: by an answer that was not active
}

// refusalVector is what a caller gets.
type refusalVector struct {
	Reason     string            `json:"reason"`
	Status     int               `json:"status"`
	Challenge  string            `json:"www_authenticate,omitempty"`
	RetryAfter string            `json:"retry_after,omitempty"`
	Body       map[string]string `json:"body"`
}

const vectorCredential = "mkt_0000000000000000000000000000000000000007"

// silence is a network on which no answer arrives, but those of the test.
type silence struct {
	arrived chan struct{}
	answers chan []byte
}

func (s silence) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	var q pollRequest
	if json.Unmarshal(body, &q) != nil || q.After != "of the test" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	s.arrived <- struct{}{}
	text := bytes.ReplaceAll(<-s.answers, []byte(`"of the request"`), []byte(`"`+q.Nonce+`"`))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(text)), Request: r}, nil
}

// vectorGuard is a guard whose clocks the test moves, and to which nothing comes by itself.
type vectorGuard struct {
	*Guard
	t       *testing.T
	poller  *poller
	network silence
	now     instant
	poll    chan polled
	q       *question
}

func newVectorGuard(t *testing.T, c vectorConfig) *vectorGuard {
	t.Helper()
	v := &vectorGuard{t: t, network: silence{make(chan struct{}), make(chan []byte)}, poll: make(chan polled, 1)}
	g, err := newGuard(Config{
		Issuer: c.Issuer, Audiences: c.Audiences, PublicURL: c.PublicURL, ClientID: "guard", ClientSecret: "secret",
		MaxStale: time.Duration(c.Lease) * time.Millisecond, Logger: slog.New(slog.DiscardHandler), HTTPClient: &http.Client{Transport: v.network},
	}, func() instant { return v.now })
	if err != nil {
		t.Fatal(err)
	}
	_ = g.Close() // so that it does not poll by itself
	g.closed.Store(false)
	v.Guard, v.poller = g, &poller{g: g, cursor: "of the test"}
	return v
}

// do does a step, and returns the outcome of a check.
func (v *vectorGuard) do(s step) *outcome {
	v.t.Helper()
	v.now = instant{time.Duration(s.At) * time.Millisecond, time.Duration(s.At) * time.Millisecond}
	if s.Wall != nil {
		v.now.wall = time.Duration(*s.Wall) * time.Millisecond
	}
	d := digestOf(checksummed(vectorCredential[4:]))
	switch s.Do {
	case "poll":
		v.poller.cursor = "of the test"
		go func() { v.poll <- v.poller.once(context.Background(), v.poller.cursor, time.Second) }()
		<-v.network.arrived
	case "polled":
		v.network.answers <- s.Answer
		v.poller.process(context.Background(), <-v.poll)
	case "ask":
		v.q = &question{sent: v.now, stamp: v.memory.now()}
	case "asked":
		var i introspection
		if err := json.Unmarshal(s.Answer, &i); err != nil {
			v.t.Fatal(err)
		}
		v.answer(v.q, d, i, nil)
	case "check":
		state, _ := v.state(v.now)
		o := &outcome{State: state, By: "ask"}
		if known := v.known.Load(); known != nil {
			at := known.mono.Milliseconds()
			o.KnownAt = &at
		}
		switch found, refusal := v.fromMemory(d, v.now, false); {
		case found != nil:
			o.By = "memory"
		case refusal != nil:
			o.By = "reject"
		}
		return o
	default:
		v.t.Fatalf("an unknown step: %s", s.Do)
	}
	return nil
}

// vectorKey signs the JWTs of the vectors. It is made from a sentence, so that they are the same each time.
func vectorKey() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("a key for test vectors, which protects nothing"))
	return ed25519.NewKeyFromSeed(seed[:])
}

// vectorJWT is one, with a header and claims that may be changed.
func vectorJWT(t *testing.T, typ string, claims map[string]any) string {
	t.Helper()
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", "vectors")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: vectorKey()}, options)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{"iss": "https://auth.example.com", "sub": "billing", "aud": "https://orders.example.com", "iat": 1767225600, "exp": 4102444800, "jti": "1"}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (v *vectorGuard) credentials() (all []credentialVector) {
	good := vectorJWT(v.t, "at+jwt", nil)
	digits := strings.Repeat("0123456789", 4)
	for _, c := range []credentialVector{
		{Name: "an opaque token", Credential: checksummed(digits)},
		{Name: "an API key", Credential: Checksummed("mk_" + digits)},
		{Name: "another prefix", Credential: Checksummed("acme_k_" + digits)},
		{Name: "the longest prefix", Credential: Checksummed("abcdefghi_" + digits)},
		{Name: "a prefix that is too long", Credential: Checksummed("abcdefghij_" + digits)},
		{Name: "a prefix without an underscore", Credential: Checksummed("mkt" + digits)},
		{Name: "a digit too few", Credential: Checksummed("k_" + digits[1:])},
		{Name: "a wrong checksum", Credential: checksummed(digits)[:49] + "a"},
		{Name: "no checksum", Credential: "mkt_" + digits},
		{Name: "a word", Credential: "junk"},
		{Name: "a JWT", Credential: good},
		{Name: "a JWT with the long type", Credential: vectorJWT(v.t, "application/at+jwt", nil)},
		{Name: "a JWT for several services", Credential: vectorJWT(v.t, "at+jwt", map[string]any{"aud": []string{"x", "y"}})},
		{Name: "a JWT of another type", Credential: vectorJWT(v.t, "JWT", nil)},
		{Name: "a JWT of another issuer", Credential: vectorJWT(v.t, "at+jwt", map[string]any{"iss": "https://evil.example.com"})},
		{Name: "a JWT that has expired", Credential: vectorJWT(v.t, "at+jwt", map[string]any{"exp": 1000000000})},
		{Name: "a JWT for the next century", Credential: vectorJWT(v.t, "at+jwt", map[string]any{"nbf": 4102444800})},
		{Name: "a JWT with a wrong signature", Credential: good[:len(good)-6] + "AAAAAA"},
		{Name: "a JWT with a changed claim", Credential: swapPayload(good, vectorJWT(v.t, "at+jwt", map[string]any{"sub": "admin"}))},
		{Name: "an unsigned JWT", Credential: "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30."},
		{Name: "a JWT without a signature", Credential: good[:strings.LastIndex(good, ".")+1]},
	} {
		h := digestOf(c.Credential).handle()
		c.Handle = base64.RawURLEncoding.EncodeToString(h[:])
		refusal := v.precheck(context.Background(), c.Credential)
		if c.Asked = refusal == nil; !c.Asked {
			c.Reason = refusal.Reason
		}
		all = append(all, c)
	}
	return all
}

// swapPayload has the header and signature of one JWT, and the claims of another.
func swapPayload(one, other string) string {
	a, b := strings.Split(one, "."), strings.Split(other, ".")
	return a[0] + "." + b[1] + "." + a[2]
}

func (v *vectorGuard) verdicts() (all []verdictVector) {
	own := digestOf(checksummed(vectorCredential[4:])).handle()
	ties := `"ties":["` + base64.RawURLEncoding.EncodeToString(own[:]) + `","AAAAAAAAAAAAAAAAAAAAAA"]`
	active := `"active":true,"client_id":"billing","sub":"billing","token_type":"bearer","iat":1767225600,"exp":1767229200,`
	for _, c := range []struct{ name, answer, requires string }{
		{"good", `{` + active + `"left":1000,"scope":"read write","aud":"https://orders.example.com",` + ties + `}`, "read"},
		{"all scopes are there", `{` + active + `"left":1000,"scope":"read write","aud":"https://orders.example.com",` + ties + `}`, "write read"},
		{"no scope is required", `{` + active + `"left":1000,"aud":"https://orders.example.com",` + ties + `}`, ""},
		{"one of several audiences", `{` + active + `"left":1000,"scope":"read","aud":["https://x.example.com","https://orders.example.com"],` + ties + `}`, "read"},
		{"an API key", `{"active":true,"sub":"usr_1","token_type":"api_key","jti":"key_1","scope":"read","aud":"https://orders.example.com",` + ties + `}`, "read"},
		{"one scope is lacking", `{` + active + `"left":1000,"scope":"read","aud":"https://orders.example.com",` + ties + `}`, "read write"},
		{"a scope that begins like another", `{` + active + `"left":1000,"scope":"read-only","aud":"https://orders.example.com",` + ties + `}`, "read"},
		{"another audience", `{` + active + `"left":1000,"scope":"read","aud":"https://x.example.com",` + ties + `}`, "read"},
		{"no audience", `{` + active + `"left":1000,"scope":"read",` + ties + `}`, "read"},
		{"bound to a key", `{` + active + `"left":1000,"scope":"read","aud":"https://orders.example.com","cnf":{"jkt":"x"},` + ties + `}`, "read"},
		{"not active", `{"active":false}`, "read"},
		{"without active", `{}`, "read"},
		{"it has expired meanwhile", `{` + active + `"left":0,"scope":"read","aud":"https://orders.example.com",` + ties + `}`, "read"},
		{"it expires, and left is absent", `{` + active + `"scope":"read","aud":"https://orders.example.com",` + ties + `}`, "read"},
		{"no ties: an older Mintkeep", `{` + active + `"left":1000,"scope":"read","aud":"https://orders.example.com"}`, "read"},
		{"a tie that is no handle", `{` + active + `"left":1000,"scope":"read","aud":"https://orders.example.com","ties":["x"]}`, "read"},
	} {
		var i introspection
		if err := json.Unmarshal([]byte(c.answer), &i); err != nil {
			v.t.Fatal(err)
		}
		q := &question{sent: v.now, stamp: v.memory.now()}
		v.answer(q, digestOf(checksummed(vectorCredential[4:])), i, nil)
		refusal := q.refusal
		if q.verdict != nil {
			refusal = v.allows(q.verdict, &requirements{scopes: strings.Fields(c.requires)})
		}
		one := verdictVector{Name: c.name, Answer: json.RawMessage(c.answer), Requires: append([]string{}, strings.Fields(c.requires)...), Status: http.StatusOK}
		if refusal != nil {
			one.Status, one.Reason = refusal.Status, refusal.Reason
		}
		all = append(all, one)
	}
	return all
}

func (v *vectorGuard) refusals() (all []refusalVector) {
	for _, r := range []*Refusal{
		missing(), badRequest("several_credentials", "Send one Authorization header."),
		badRequest("in_query", "Send the credential in the Authorization header, not in the query."),
		invalid("malformed"), invalid("checksum"), invalid("expired"), invalid("revoked_or_unknown"), invalid("audience"), invalid("binding_unsupported"),
		lacksScope([]string{"read", "write"}), unavailable("unreachable"), unavailable("stale"), unavailable("misconfigured"),
	} {
		w := httptest.NewRecorder()
		v.challenge(r, []string{"read", "write"}).write(w)
		one := refusalVector{Reason: r.Reason, Status: w.Code, Challenge: w.Header().Get("WWW-Authenticate"), RetryAfter: w.Header().Get("Retry-After")}
		if err := json.Unmarshal(w.Body.Bytes(), &one.Body); err != nil {
			v.t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// The vectors are what this guard does.
func TestVectors(t *testing.T) {
	t.Parallel()
	c := vectorConfig{Issuer: "https://auth.example.com", Audiences: []string{"https://orders.example.com"}, PublicURL: "https://orders.example.com", Lease: 1000}
	c.Credential = checksummed(vectorCredential[4:])
	keys := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: vectorKey().Public(), KeyID: "vectors", Algorithm: "EdDSA", Use: "sig"}}}
	g := newVectorGuard(t, c)
	g.keys.tried, g.keys.keys = true, map[string]jose.JSONWebKey{"vectors": keys.Keys[0]}
	all := vectors{
		About:  "Test vectors for guards in other languages. docs/feed.md explains them. Generated: cd server/guard && go test . -run Vectors -update",
		Config: c, Keys: keys, Credentials: g.credentials(), Verdicts: g.verdicts(), Sequences: sequences(), Refusals: g.refusals(),
	}
	for _, s := range all.Sequences {
		v := newVectorGuard(t, c)
		for i := range s.Steps {
			s.Steps[i].Want = v.do(s.Steps[i])
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(all); err != nil {
		t.Fatal(err)
	}
	old, err := os.ReadFile(vectorsFile)
	switch {
	case *update:
		err = os.WriteFile(vectorsFile, text.Bytes(), 0o600)
	case err == nil && !bytes.Equal(old, text.Bytes()):
		err = errors.New("the vectors are not what the guard does: cd server/guard && go test . -run Vectors -update, and look at the difference")
	}
	if err != nil {
		t.Error(err)
	}
}
