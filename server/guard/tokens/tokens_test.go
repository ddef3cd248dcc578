package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintkeep/mintkeep/server/guard/tokens"
)

// issuer issues a token for each request, and counts them.
type issuer struct {
	*httptest.Server
	mu     sync.Mutex
	n      int
	secret string
	down   bool
	held   chan struct{}
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{secret: "one"}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.mu.Lock()
		held := i.held
		i.mu.Unlock()
		if held != nil {
			<-held
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		_, secret, _ := r.BasicAuth()
		switch {
		case i.down:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case secret != i.secret:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"error":"invalid_client","error_description":"No."}`))
		default:
			i.n++
			_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":100}`, i.n)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) set(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	do()
}

func (i *issuer) issued() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.n
}

// clock is moved by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *clock) advance(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

func newSource(t *testing.T, i *issuer, change ...func(*tokens.Config)) (*tokens.Source, *clock) {
	t.Helper()
	at := &clock{now: time.Now()}
	c := tokens.Config{Issuer: i.URL, ClientID: "billing", ClientSecret: "one", Now: at.Now}
	for _, f := range change {
		f(&c)
	}
	s, err := tokens.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s, at
}

func want(t *testing.T, s *tokens.Source, token string) {
	t.Helper()
	if got, err := s.Token(t.Context()); got != token || err != nil {
		t.Fatalf("got %q %v, want %s", got, err, token)
	}
}

func TestOneTokenForAllCallers(t *testing.T) {
	i := newIssuer(t)
	s, _ := newSource(t, i)
	var all sync.WaitGroup
	for range 1_000 {
		all.Add(1)
		go func() {
			defer all.Done()
			if got, err := s.Token(t.Context()); got != "token-1" || err != nil {
				t.Errorf("got %q %v", got, err)
			}
		}()
	}
	all.Wait()
	if n := i.issued(); n != 1 {
		t.Errorf("%d tokens were fetched", n)
	}
}

func TestRenewalInTheBackground(t *testing.T) {
	i := newIssuer(t)
	s, at := newSource(t, i)
	want(t, s, "token-1")
	at.advance(90 * time.Second)
	i.set(func() { i.down = true })
	want(t, s, "token-1") // and no caller notices that the renewal fails
	i.set(func() { i.down = false })
	for began := time.Now(); i.issued() < 2; time.Sleep(time.Millisecond) {
		at.advance(20 * time.Millisecond)
		if _, err := s.Token(t.Context()); err != nil || time.Since(began) > time.Minute {
			t.Fatal("the token is not renewed", err)
		}
	}
}

// A thousand callers of a token that is due have one fetch in the background, and none of them waits for it.
func TestThousandCallersOfATokenThatIsDue(t *testing.T) {
	i := newIssuer(t)
	s, at := newSource(t, i)
	want(t, s, "token-1")
	held := make(chan struct{})
	i.set(func() { i.held = held })
	at.advance(90 * time.Second)
	var all sync.WaitGroup
	for range 1_000 {
		all.Add(1)
		go func() {
			defer all.Done()
			if got, err := s.Token(t.Context()); got != "token-1" || err != nil {
				t.Errorf("got %q %v", got, err)
			}
		}()
	}
	all.Wait() // while the fetch does not end
	close(held)
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		if got, err := s.Token(t.Context()); got == "token-2" && err == nil {
			break
		} else if err != nil || time.Since(began) > time.Minute {
			t.Fatal("the token is not renewed", err)
		}
	}
	if n := i.issued(); n != 2 {
		t.Errorf("%d tokens were fetched", n)
	}
}

// A token that is not used is not renewed.
func TestUnusedTokenIsNotRenewed(t *testing.T) {
	i := newIssuer(t)
	s, at := newSource(t, i)
	want(t, s, "token-1")
	at.advance(99 * time.Second)
	if n := i.issued(); n != 1 {
		t.Errorf("%d tokens were fetched", n)
	}
}

// The error has its cause, also for the callers who come before it is tried again.
func TestErrorHasItsCause(t *testing.T) {
	i := newIssuer(t)
	s, _ := newSource(t, i)
	i.Close()
	for range 2 {
		if _, err := s.Token(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) || strings.Contains(err.Error(), "one") {
			t.Errorf("the error is %v", err)
		}
	}
}

func TestExpiredTokenWithoutMintkeep(t *testing.T) {
	i := newIssuer(t)
	s, at := newSource(t, i)
	want(t, s, "token-1")
	i.set(func() { i.down = true })
	at.advance(101 * time.Second)
	if _, err := s.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("the error is %v", err)
	}
	i.set(func() { i.down = false })
	at.advance(2 * time.Second)
	want(t, s, "token-2")
}

func TestCancelledCallerReturnsAndTheFetchGoesOn(t *testing.T) {
	i := newIssuer(t)
	held := make(chan struct{})
	i.set(func() { i.held = held })
	s, _ := newSource(t, i)
	ctx, cancel := context.WithCancel(t.Context())
	got, other := make(chan error), make(chan string)
	go func() { _, err := s.Token(ctx); got <- err }()
	go func() { token, _ := s.Token(t.Context()); other <- token }()
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	close(held)
	if token := <-other; token != "token-1" {
		t.Errorf("the other caller got %q", token)
	}
	want(t, s, "token-1")
	if n := i.issued(); n != 1 {
		t.Errorf("%d tokens were fetched", n)
	}
}

func TestSecretFileIsReadAgain(t *testing.T) {
	i := newIssuer(t)
	path := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	s, at := newSource(t, i, func(c *tokens.Config) { c.ClientSecret, c.ClientSecretFile = "", path })
	want(t, s, "token-1")
	i.set(func() { i.secret = "two" })
	write("two")
	at.advance(101 * time.Second)
	want(t, s, "token-2")
}

// A token that a service rejects is replaced, and the request is repeated with its body.
func TestRejectedTokenIsReplaced(t *testing.T) {
	i := newIssuer(t)
	s, at := newSource(t, i)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Authorization") == "Bearer token-1" {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = w.Write(append(body, r.Header.Get("Authorization")...))
	}))
	defer service.Close()
	want(t, s, "token-1")
	at.advance(2 * time.Second)
	response, err := (&http.Client{Transport: s.Transport(nil)}).Post(service.URL, "text/plain", strings.NewReader("order "))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if body, _ := io.ReadAll(response.Body); string(body) != "order Bearer token-2" {
		t.Errorf("the service got %q", body)
	}
}

func TestTokenStaysWithItsHost(t *testing.T) {
	i := newIssuer(t)
	s, _ := newSource(t, i)
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = append(got, r.Header.Get("Authorization")) }))
	defer other.Close()
	service := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer service.Close()
	response, err := (&http.Client{Transport: s.Transport(nil)}).Get(service.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if len(got) != 1 || got[0] != "" {
		t.Errorf("the other host got %q", got)
	}
}

// A token endpoint that redirects does not get the secret sent elsewhere.
func TestSecretStaysWithTheIssuer(t *testing.T) {
	asked := 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer other.Close()
	issuer := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer issuer.Close()
	s, err := tokens.New(tokens.Config{Issuer: issuer.URL, ClientID: "billing", ClientSecret: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(t.Context()); err == nil || asked != 0 {
		t.Errorf("the other host was asked %d times, and the error is %v", asked, err)
	}
}

func TestMistakes(t *testing.T) {
	_, err := tokens.New(tokens.Config{})
	for _, name := range []string{"Issuer", "ClientID", "ClientSecret"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("the error does not name %s: %v", name, err)
		}
	}
}
