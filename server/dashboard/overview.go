package dashboard

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/mintkeep/mintkeep/server/signing"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
	"github.com/mintkeep/mintkeep/store/redisdb"
)

// overview is the operator's first page.
type overview struct {
	operatorPage
	Range    string // hour or day
	Totals   store.Totals
	Charts   []*chart
	Refusals []figure // by reason
	Redis    health
	Keys     []signingKey
	Rotation time.Duration
}

// operatorPage is what all operator's pages have.
type operatorPage struct{ Tab string }

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

type signingKey struct {
	signing.KeyState
	Age  string
	Next string // when it is replaced
}

// Overview answers GET /operator.
func (d *Dashboard) Overview(w http.ResponseWriter, r *http.Request, in *session) error {
	content, err := d.overview(r)
	if err != nil {
		return err
	}
	return d.show(w, http.StatusOK, "operator", in.page(r, "Operator", "operator", content))
}

func (d *Dashboard) overview(r *http.Request) (*overview, error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return nil, err
	}
	o := &overview{operatorPage: operatorPage{"overview"}, Range: "hour", Keys: d.signingKeys(), Rotation: d.config.SigningRotation}
	minutes, width := 60, 1
	if text, _ := query.Text("range"); text == "day" {
		o.Range, minutes, width = "day", 24*60, 15
	}
	if o.Totals, err = d.store.Totals(r.Context()); err != nil {
		return nil, err
	}
	counted, err := d.store.Minutes(r.Context(), minutes)
	if err != nil {
		return nil, err
	}
	o.Charts = []*chart{
		minutesChart("Tokens issued", "token", counted, width, func(m store.Minute) int64 { return m.Issued }),
		minutesChart("Token requests refused", "request", counted, width, rejected),
		minutesChart("Introspections", "introspection", counted, width, func(m store.Minute) int64 { return m.Asked }),
		minutesChart("API-key uses", "use", counted, width, func(m store.Minute) int64 { return m.KeyUsed }),
	}
	o.Refusals = byReason(counted)
	o.Redis = d.health(r.Context())
	return o, nil
}

func rejected(m store.Minute) (n int64) {
	for _, count := range m.Refused {
		n += count
	}
	return n
}

// byReason sums the rejections, the most frequent first.
func byReason(minutes []store.Minute) (figures []figure) {
	sums := map[string]int64{}
	for _, m := range minutes {
		for code, n := range m.Refused {
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

// signingKeys are the keys of the ring, and when each is replaced.
func (d *Dashboard) signingKeys() (list []signingKey) {
	for _, k := range d.ring.Keys() {
		s := signingKey{KeyState: k, Age: ago(d.now(), k.CreatedAt)}
		switch k.State {
		case store.KeyNext:
			s.Next = "signs next"
		case store.KeyActive:
			s.Next = "replaced by hand"
			if d.config.SigningRotation > 0 {
				s.Next = "replaced " + ago(d.now(), k.ActivatedAt.Add(d.config.SigningRotation))
			}
		case store.KeyRetired:
			s.Next = "removed " + ago(d.now(), k.RemoveAt)
		}
		list = append(list, s)
	}
	return list
}
