package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/mintkeep/mintkeep/server/web"
)

const (
	defaultWait = 500
	maxWait     = 2_000

	minNonce, maxNonce = 8, 64

	maxInstance = 128
	maxVersion  = 64
	maxCursor   = 64        // one that the feed has issued has 32
	maxLease    = 3_610_000 // ms: MaxStale and Grace of server/guard at most
	maxUsed     = 256
	maxUses     = 10_000_000 // of one key: what many polls tell in a day does not overflow the sum in Redis
	maxUsedAgo  = 86_400     // s
	maxCount    = 1 << 53
)

// readPoll reads a poll and authenticates the guard. That takes a turn of admission control, unless the authentication is
// remembered.
func (s *Server) readPoll(r *http.Request) (*poll, error) {
	if clientID, ok := s.remembered.byHeader(r); ok {
		return s.parsePoll(r, clientID)
	}
	release, err := web.Turn(r.Context())
	if err != nil {
		return nil, err
	}
	defer release()
	o, err := web.ReadObject(r)
	if err != nil {
		return nil, err
	}
	clientID, err := s.authenticateGuard(r, o)
	if err != nil {
		return nil, err
	}
	return s.pollOf(r, o, clientID)
}

// authenticateGuard returns the client as which the guard polls.
func (s *Server) authenticateGuard(r *http.Request, o web.Object) (string, error) {
	key, once := presentedKey(r, o)
	if clientID, ok := s.remembered.client(key); ok && !once {
		return clientID, nil
	}
	before := s.remembered.begin()
	who, err := s.subscriber(r)
	if err != nil {
		return "", err
	}
	if !once && !who.Once {
		s.remembered.add(key, who, before)
	}
	return who.ClientID, nil
}

func (s *Server) parsePoll(r *http.Request, clientID string) (*poll, error) {
	web.Note(r.Context(), "client_id", clientID)
	o, err := web.ReadObject(r)
	if err != nil {
		return nil, err
	}
	return s.pollOf(r, o, clientID)
}

// pollOf reads the members. The error names the first one that is wrong.
func (s *Server) pollOf(r *http.Request, o web.Object, clientID string) (*poll, error) {
	if err := onlyOneMethod(r, o); err != nil {
		return nil, err
	}
	p := &poll{arrived: web.Arrived(r.Context())}
	p.ClientID, p.At, p.Address = clientID, s.now(), web.Address(r).String()
	p.After = cursorText(o["after"])
	m := members{o: o}
	p.nonce = m.nonce()
	p.wait = time.Duration(m.number("wait", defaultWait, maxWait)) * time.Millisecond
	p.Instance = m.text("instance", maxInstance)
	p.Lease = time.Duration(m.number("lease", 0, maxLease)) * time.Millisecond
	p.used = m.used()
	p.Served, p.Refused = m.number("served", 0, maxCount), m.number("refused", 0, maxCount)
	p.Entries = int(m.number("entries", 0, maxCount))
	p.Version = m.text("version", maxVersion)
	if m.err != nil {
		return nil, m.err
	}
	return p, nil
}

// cursorText is the value of after; empty: it is absent. Anything but a string becomes a text that is no cursor: such a poll is
// answered with a reset, and not with 400.
func cursorText(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	text, err := web.Decode[string](raw, "a string")
	if err != nil || text == "" || len(text) > maxCursor {
		return "?"
	}
	return text
}

// members reads members until one is wrong.
type members struct {
	o   web.Object
	err error
}

func (m *members) fail(name, problem string) {
	if m.err == nil {
		m.err = web.InvalidRequest("%s: %s", name, problem)
	}
}

func (m *members) nonce() string {
	const kind = "must be 8 to 64 characters of A-Z, a-z, 0-9, _ and -"
	nonce, err := web.Decode[string](m.o["nonce"], "a string")
	if err != nil || len(nonce) < minNonce || len(nonce) > maxNonce {
		m.fail("nonce", kind)
		return ""
	}
	for i := range len(nonce) {
		switch c := nonce[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			m.fail("nonce", kind)
			return ""
		}
	}
	return nonce
}

// number is a whole number from 0 to most; absent: otherwise.
func (m *members) number(name string, otherwise, most int64) int64 {
	raw := m.o[name]
	if web.IsNull(raw) {
		return otherwise
	}
	n, err := strconv.ParseInt(string(raw), 10, 64) // 1e3 is no whole number for Go's JSON either
	if err != nil || n < 0 || n > most {
		m.fail(name, fmt.Sprintf("must be a whole number from 0 to %d", most))
		return 0
	}
	return n
}

// text is 1 to longest printable characters; absent: empty.
func (m *members) text(name string, longest int) string {
	if !m.o.Has(name) {
		return ""
	}
	text, err := web.Decode[string](m.o[name], "a string")
	if err != nil || text == "" || len([]rune(text)) > longest || !printable(text) {
		m.fail(name, fmt.Sprintf("must be 1 to %d printable characters", longest))
		return ""
	}
	return text
}

func (m *members) used() []usedKey {
	if !m.o.Has("used") {
		return nil
	}
	used, err := web.Decode[[]usedKey](m.o["used"], "a list")
	if err != nil || len(used) > maxUsed {
		m.fail("used", fmt.Sprintf("must be at most %d of [key id, uses, seconds ago]", maxUsed))
		return nil
	}
	return used
}

var errUsed = errors.New("not a used key")

// UnmarshalJSON reads [key id, uses, seconds ago].
func (u *usedKey) UnmarshalJSON(raw []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil || len(parts) != 3 {
		return errUsed
	}
	var ago int64
	if json.Unmarshal(parts[0], &u.id) != nil || json.Unmarshal(parts[1], &u.uses) != nil || json.Unmarshal(parts[2], &ago) != nil {
		return errUsed
	}
	if u.id == "" || u.uses < 1 || u.uses > maxUses || ago < 0 || ago > maxUsedAgo {
		return errUsed
	}
	u.ago = time.Duration(ago) * time.Second
	return nil
}
