package remotekeys

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/jwks"
)

const (
	maxBody   = 256 << 10
	maxHeader = 32 << 10
)

// An answer is a set as it was fetched.
type answer struct {
	set      *jwks.Set
	asked    time.Time
	answered time.Time
	lifetime time.Duration
	age      time.Duration // by its Age: how long a cache in between has kept it
	date     time.Time     // by the clock of the key server; zero if it does not tell
}

// fetch gets the set at uri. The error is a [rule], or that nothing could be fetched.
func (f *Fetcher) fetch(ctx context.Context, uri string) (a *answer, err error) {
	release, err := f.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	defer func() {
		if p := recover(); p != nil { // what a stranger sends must not stop the server
			err = rule("the answer cannot be read")
			f.logger.Error("reading a key set panicked", "url", Loggable(uri), "panic", fmt.Sprintf("%T", p))
		}
		f.metrics.KeysFetched(err == nil)
	}()
	ctx, cancel := context.WithTimeout(ctx, f.time)
	defer cancel()
	a, err = f.get(ctx, uri)
	if err != nil {
		return nil, f.broken(ctx, err)
	}
	return a, nil
}

// slot waits for its turn, as long as a fetch may take. Its caller must call release.
func (f *Fetcher) slot(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, f.time)
	defer cancel()
	select {
	case f.slots <- struct{}{}:
		return func() { <-f.slots }, nil
	case <-ctx.Done():
		return nil, errBusy
	}
}

func (f *Fetcher) get(ctx context.Context, uri string) (*answer, error) {
	u, err := f.parse(uri)
	if err != nil {
		return nil, rule("the URL " + err.Error()) // registered under other settings
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("Accept-Encoding", "identity")
	request.Header.Set("User-Agent", "Mintkeep ("+f.cfg.Issuer+")")
	transport := f.transport(u)
	defer transport.CloseIdleConnections()
	a := &answer{asked: f.now()}
	response, err := transport.RoundTrip(request) // and no http.Client: no redirects, no cookies
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := read(response)
	if err != nil {
		return nil, err
	}
	a.answered = f.now()
	if a.set, err = jwks.ParseFetched(body); err != nil {
		return nil, rule("the answer is no usable key set in JSON: " + err.Error())
	}
	a.lifetime, a.age = lifetime(response.Header), age(response.Header)
	a.date, _ = http.ParseTime(response.Header.Get("Date"))
	return a, nil
}

// read is the body of an answer that may be used.
func read(response *http.Response) ([]byte, error) {
	switch encoding := strings.ToLower(response.Header.Get("Content-Encoding")); {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		return nil, rule(fmt.Sprintf("the answer has status %d: redirects are not followed", response.StatusCode))
	case response.StatusCode != http.StatusOK:
		return nil, rule(fmt.Sprintf("the answer has status %d, not 200", response.StatusCode))
	case encoding != "" && encoding != "identity":
		return nil, rule("the answer is compressed, although the request does not allow it")
	case response.ContentLength > maxBody:
		return nil, errTooLarge
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, errTooLarge
	}
	return body, nil
}

var errTooLarge = rule(fmt.Sprintf("the answer has more than %d KiB", maxBody>>10))
