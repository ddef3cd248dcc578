package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/config"
	"github.com/mintkeep/mintkeep/server/doctor"
	"github.com/mintkeep/mintkeep/server/guards"
	"github.com/mintkeep/mintkeep/server/oauth"
	"github.com/mintkeep/mintkeep/server/scope"
)

const (
	// pollWait is what a poll of doctor asks for, and pollSlack how much later the answer may come. The wait of a guard is
	// longer, and less than its lease.
	pollWait  = 200 * time.Millisecond
	pollSlack = 500 * time.Millisecond
	// pollTries is how many polls may be answered early, because something was revoked.
	pollTries = 3
)

// polls polls the feed through the issuer, as a guard does. It needs the credentials of a client. Without a client in the
// environment it has nothing to say.
func (c *doctorCommand) polls(ctx context.Context, p process, cfg *config.Config) []doctor.Check {
	e := newEnvironment(p)
	if !cfg.Feed || e.src.Get(clientID) == "" {
		return nil
	}
	check := doctor.Check{Name: "polls", State: doctor.Unknown}
	poller := guardPoll{oauthClient: &oauthClient{base: cfg.Issuer, http: e.httpClient(5 * time.Second), identity: clientFlags{}.identify(e), now: p.now}}
	if err := e.err(); err != nil {
		check.Found = "not tried: " + err.Error()
		return []doctor.Check{check}
	}
	return []doctor.Check{poller.check(ctx)}
}

// guardPoll polls the feed as a client.
type guardPoll struct {
	*oauthClient
	bearer string // an access token, if the client has a key; else empty
}

// polled is an answer to a poll.
type polled struct {
	Nonce  string            `json:"nonce"`
	Cursor string            `json:"cursor"`
	Reset  bool              `json:"reset"`
	Void   []json.RawMessage `json:"void"`

	sent string // the nonce of the poll
	took time.Duration
}

// check polls without a cursor, and then with one: nothing else tells how long a poll is held.
func (g *guardPoll) check(ctx context.Context) doctor.Check {
	check := doctor.Check{Name: "polls", State: doctor.OK}
	at := g.base + oauth.ChangesPath
	answer, err := g.poll(ctx, "", 0)
	for try := 1; err == nil && answer.Nonce == answer.sent; try++ {
		if answer, err = g.poll(ctx, answer.Cursor, pollWait); err != nil || answer.Nonce != answer.sent {
			break
		}
		switch early := answer.took < pollWait; {
		case early && try < pollTries: // something was revoked meanwhile
		case early:
			check.State, check.Found = doctor.Unknown, "not known: each poll was answered early, because something was revoked"
			return check
		case answer.took > pollWait+pollSlack:
			check.State = doctor.Warn
			check.Found = fmt.Sprintf("%s answered a poll of %v after %v: something holds polls, and guards are late", at, pollWait, answer.took.Round(time.Millisecond))
			check.Fix = "have the proxy pass " + oauth.ChangesPath + " on at once, without buffering and without a queue"
			return check
		default:
			check.Found = fmt.Sprintf("%s answers a poll of %v after %v", at, pollWait, answer.took.Round(time.Millisecond))
			return check
		}
	}
	var rejected *apiError
	switch {
	case err == nil:
		check.State, check.Found = doctor.Fail, at+" answered a poll with the answer to another one: something answers from memory, and guards ignore it"
		check.Fix = "have the proxy cache no POST, and pass " + oauth.ChangesPath + " on"
	case errors.As(err, &rejected):
		check.State, check.Found = doctor.Warn, at+" rejects polls: "+rejected.Error()
		check.Fix = "register the client of " + clientID + " with the scope mintkeep:introspect; or have the proxy pass " + oauth.ChangesPath + " on"
	default:
		check.State, check.Found = doctor.Unknown, "not known: "+err.Error()
	}
	return check
}

// poll sends one poll.
func (g *guardPoll) poll(ctx context.Context, after string, wait time.Duration) (polled, error) {
	answer := polled{sent: rand.Text()}
	if g.key != nil && g.bearer == "" {
		token, err := g.post(ctx, oauth.TokenPath, url.Values{"grant_type": {"client_credentials"}, "scope": {scope.Introspect}})
		if err != nil {
			return answer, err
		}
		issued, err := parsed[struct {
			Token string `json:"access_token"`
		}](token)
		if err != nil {
			return answer, err
		}
		g.bearer = issued.Token
	}
	members := map[string]any{"nonce": answer.sent, "wait": wait.Milliseconds(), "instance": guards.Doctor, "version": buildVersion()}
	if after != "" {
		members["after"] = after
	}
	body, err := json.Marshal(members)
	if err != nil {
		return answer, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, g.base+oauth.ChangesPath, strings.NewReader(string(body)))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "mintkeep/"+buildVersion())
	if g.bearer != "" {
		request.Header.Set("Authorization", "Bearer "+g.bearer)
	} else {
		request.SetBasicAuth(url.QueryEscape(g.client), url.QueryEscape(g.secret.Reveal())) // RFC 6749 §2.3.1
	}
	sent := time.Now()
	text, err := send(g.http, g.base, request)
	answer.took = time.Since(sent)
	if err == nil {
		err = json.Unmarshal(text, &answer)
	}
	return answer, err
}
