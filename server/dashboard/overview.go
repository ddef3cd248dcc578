package dashboard

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/audit"
	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// overview is the operator's first page.
type overview struct {
	operatorPage
	Span
	Totals     store.Totals
	Charts     []*chart
	Rejections []figure // by error code
	Busiest    []store.ClientActivity
	Failing    []store.ClientActivity
	BusyKeys   []busyKey
	Redis      health
	Keys       signingKeys
}

// operatorPage is what all operator's pages have.
type operatorPage struct{ Tab string }

// Span is how far back the charts of a page go.
type Span struct {
	Here string // the path of the page
	Day  bool   // or else an hour
}

// spanOf reads which span a request asks for.
func spanOf(r *http.Request, here string) (Span, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return Span{}, err
	}
	text, _ := query.Text("range")
	return Span{here, text == "day"}, nil
}

// URL is the page with this span.
func (s Span) URL() string {
	if s.Day {
		return s.Here + "?range=day"
	}
	return s.Here
}

func (s Span) per() per {
	if s.Day {
		return perQuarter
	}
	return perMinute
}

type figure struct {
	Name  string
	Value int64
}

// health is how Redis does, as this replica sees it.
type health struct {
	Embedded bool
	Problem  string
	Took     time.Duration
	Pool     redisdb.PoolStats
}

// How long the lists of clients and keys are.
const (
	topClients = 5
	topKeys    = 5
)

// Overview answers GET /operator.
func (d *Dashboard) Overview(w http.ResponseWriter, r *http.Request, in *session) error {
	content, err := d.overview(r)
	if err != nil {
		return err
	}
	return d.show(w, http.StatusOK, "operator", in.page(r, "Operator", "operator", content))
}

func (d *Dashboard) overview(r *http.Request) (*overview, error) {
	span, err := spanOf(r, "/operator")
	if err != nil {
		return nil, err
	}
	o := &overview{operatorPage: operatorPage{"overview"}, Span: span, Keys: d.signingKeys()}
	minutes := 60
	if span.Day {
		minutes = 24 * 60
	}
	if o.Totals, err = d.store.Totals(r.Context()); err != nil {
		return nil, err
	}
	counted, err := d.store.Minutes(r.Context(), minutes)
	if err != nil {
		return nil, err
	}
	o.Charts = []*chart{
		requestsChart(counted, span.per()),
		countsChart("introspections", "Introspections", counted, span.per(), func(n store.Counts) int64 { return n.Asked }),
		countsChart("uses", "API key uses", counted, span.per(), func(n store.Counts) int64 { return n.KeyUsed }),
	}
	o.Rejections = byCode(counted)
	if o.Busiest, o.Failing, err = d.store.TopClients(r.Context(), topClients); err != nil {
		return nil, err
	}
	if o.BusyKeys, err = d.busyKeys(r.Context()); err != nil {
		return nil, err
	}
	o.Redis = d.health(r.Context())
	return o, nil
}

// busyKey is one of the keys that are used the most.
type busyKey struct {
	store.KeyActivity
	Owner ref
}

// busyKeys are the keys with the most uses of the last days.
func (d *Dashboard) busyKeys(ctx context.Context) (busiest []busyKey, err error) {
	found, err := d.store.BusiestKeys(ctx, topKeys)
	if err != nil {
		return nil, err
	}
	var owners []string
	for _, a := range found {
		owners = append(owners, audit.UserTarget(a.Key.UserID))
	}
	names, err := d.refs(ctx, owners...)
	if err != nil {
		return nil, err
	}
	for i, a := range found {
		busiest = append(busiest, busyKey{a, names.of(owners[i])})
	}
	return busiest, nil
}

// byCode sums the rejections by their error codes, the most frequent first.
func byCode(counted []store.Counts) (figures []figure) {
	sums := map[string]int64{}
	for _, c := range counted {
		for code, n := range c.Refused {
			sums[code] += n
		}
	}
	for _, code := range slices.Sorted(maps.Keys(sums)) {
		figures = append(figures, figure{code, sums[code]})
	}
	slices.SortStableFunc(figures, func(a, b figure) int { return int(b.Value - a.Value) })
	return figures
}

func (d *Dashboard) health(ctx context.Context) health {
	h := health{Embedded: d.store.Embedded(), Pool: d.store.PoolStats()}
	start := time.Now()
	if err := d.store.Ping(ctx); err != nil {
		h.Problem = "does not answer"
	}
	h.Took = time.Since(start).Round(10 * time.Microsecond)
	return h
}

// signingKeys are the keys of the ring.
type signingKeys struct {
	List []signingKey
	From time.Time // when the keys can be rotated; zero: now
	In   string
}

// signingKey is a key, and what happens to it next.
type signingKey struct {
	signing.KeyState
	Next string
}

func (d *Dashboard) signingKeys() (keys signingKeys) {
	for _, k := range d.ring.Keys() {
		s := signingKey{KeyState: k}
		switch k.State {
		case store.KeyNext:
			s.Next = "will sign after the next rotation"
		case store.KeyActive:
			s.Next = "signs until an operator rotates the keys"
			if d.config.SigningRotation > 0 {
				s.Next = "replaced " + ago(d.now(), k.ActivatedAt.Add(d.config.SigningRotation))
			}
		case store.KeyRetired:
			s.Next = "removed " + ago(d.now(), k.RemoveAt)
		}
		keys.List = append(keys.List, s)
	}
	if from := d.rotator.PossibleFrom(); d.now().Before(from) {
		keys.From, keys.In = from, ago(d.now(), from)
	}
	return keys
}
