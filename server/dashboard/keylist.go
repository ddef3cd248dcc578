package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/server/keys"
	"github.com/mintkeep/mintkeep/server/web"
	"github.com/mintkeep/mintkeep/store"
)

// keyPlace is where pages of keys are: those of their owner, or those of operators.
type keyPlace struct {
	List     string // the path of the list
	Base     string // of a key's page, before the id
	Operator bool
}

var (
	ownKeys = keyPlace{"/settings", "/settings/keys/", false}
	allKeys = keyPlace{"/operator/keys", "/operator/keys/", true}
)

// owner is whose keys the pages are about; empty: any user's.
func (p keyPlace) owner(in *session) string {
	if p.Operator {
		return ""
	}
	return in.UserID
}

// unusedFor is for how long a key is not used before the pages call it unused.
const unusedFor = 90 * 24 * time.Hour

const (
	// keysSorted is of how many keys at most a list is read whole: only then it is sorted, and searched for any part of a name.
	keysSorted  = 2_000
	keysPerPage = 50
)

// keyList is a list of keys: a user's own, or for operators.
type keyList struct {
	keyPlace
	keyQuery
	Keys    []keyRow
	Columns []column
	Total   int    // keys that match
	Pages   int    // 0: there are more than are counted
	Next    string // the URL of the next page of a list that is not counted
	Cut     bool   // only the newest keys are in the list
	None    bool   // the user has no key at all
	Notices *keyNotices
}

// keyQuery is what the address of a list asks for.
type keyQuery struct {
	Query string
	State string // one of keyFilters
	User  string // operators: of whom, by email or id
	Sort  string // a column; with a minus before it: backwards
	Page  int
	New   string // the id of a key that was created just now

	cursor string
}

func readKeyQuery(r *http.Request) (q keyQuery, err error) {
	query, err := web.ReadQuery(r)
	if err != nil {
		return q, err
	}
	if limit, _ := query.Text("limit"); limit != "" {
		return q, web.InvalidRequest("limit: all pages have one length")
	}
	page := ""
	for name, value := range map[string]*string{
		"q": &q.Query, "state": &q.State, "user": &q.User, "sort": &q.Sort, "new": &q.New, "cursor": &q.cursor, "page": &page,
	} {
		if *value, err = query.Text(name); err != nil {
			return q, err
		}
	}
	if q.Page = 1; page != "" {
		if q.Page, err = strconv.Atoi(page); err != nil || q.Page < 1 {
			return q, web.InvalidRequest("page: must be a whole number from 1")
		}
	}
	q.State = filterOf(q.State).value
	if orderOf(q.Sort) == nil {
		q.Sort = newestFirst
	}
	return q, nil
}

// url is the address of the list with another order or page.
func (l *keyList) url(sort string, page int) string {
	values := url.Values{}
	for name, value := range map[string]string{"q": l.Query, "user": l.User} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if l.State != keyFilters[0].value {
		values.Set("state", l.State)
	}
	if sort != newestFirst {
		values.Set("sort", sort)
	}
	if page > 1 {
		values.Set("page", strconv.Itoa(page))
	}
	if len(values) == 0 {
		return l.List
	}
	return l.List + "?" + values.Encode()
}

// PageURL is the address of another page.
func (l *keyList) PageURL(page int) string { return l.url(l.Sort, page) }

// Plus is the number of the page that comes n pages after this one.
func (l *keyList) Plus(n int) int { return l.Page + n }

// First is whether no page is before this one.
func (l *keyList) First() bool { return l.Page == 1 && l.cursor == "" }

// Settings answers GET /settings.
func (d *Dashboard) Settings(w http.ResponseWriter, r *http.Request, in *session) error {
	list, err := d.listKeys(r, ownKeys, in.UserID)
	if err != nil {
		return err
	}
	if list.Total == 0 && list.Query == "" && list.State == keyFilters[0].value {
		had, err := d.store.KeysListed(r.Context(), in.UserID)
		if err != nil {
			return err
		}
		list.None = had == 0
	}
	if list.Notices, err = d.noticesOf(r.Context(), in.UserID); err != nil {
		return err
	}
	return d.show(w, http.StatusOK, "settings", in.page(r, "API keys", "keys", list))
}

// listKeys reads a page of the keys of a user, or of all users.
func (d *Dashboard) listKeys(r *http.Request, at keyPlace, userID string) (*keyList, error) {
	q, err := readKeyQuery(r)
	if err != nil {
		return nil, err
	}
	list := &keyList{keyPlace: at, keyQuery: q}
	if userID == "" {
		n, err := d.store.KeysListed(r.Context(), "")
		if err != nil {
			return nil, err
		}
		if n > keysSorted || q.cursor != "" {
			return list, d.listOnward(r, list)
		}
	}
	if q.cursor != "" {
		return nil, web.InvalidRequest("cursor: the list has numbered pages")
	}
	return list, d.listWhole(r.Context(), list, userID)
}

// listWhole reads all the keys, and shows a page of those that match.
func (d *Dashboard) listWhole(ctx context.Context, list *keyList, userID string) error {
	wanted := filterOf(list.State)
	f := store.KeyFilter{UserID: userID, State: wanted.state}
	if wanted.unused {
		f.UnusedSince = d.now().Add(-unusedFor)
	}
	found, more, err := d.readKeys(ctx, f, keysSorted)
	if err != nil {
		return err
	}
	list.Cut = more
	views, err := d.keys.Views(ctx, found, list.Operator)
	if err != nil {
		return err
	}
	part := strings.ToLower(list.Query)
	var rows []keyRow
	for _, view := range views {
		if row := rowOf(view); row.has(part) {
			rows = append(rows, row)
		}
	}
	if strings.TrimPrefix(list.Sort, "-") == "uses" {
		if err := d.addDays(ctx, rows); err != nil {
			return err
		}
	}
	slices.SortStableFunc(rows, orderOf(list.Sort))
	list.Total, list.Pages = len(rows), max(1, (len(rows)+keysPerPage-1)/keysPerPage)
	list.Page = min(list.Page, list.Pages) // keys may have gone since
	first := (list.Page - 1) * keysPerPage
	list.Keys = rows[first:min(first+keysPerPage, len(rows))]
	list.Columns = list.columns()
	return d.finish(ctx, list)
}

// readKeys reads the newest of the keys that are wanted, and tells whether there are more.
func (d *Dashboard) readKeys(ctx context.Context, f store.KeyFilter, limit int) (found []*store.APIKey, more bool, err error) {
	after := ""
	for {
		page, next, err := d.store.Keys(ctx, f, after, limit-len(found))
		found = append(found, page...)
		if err != nil || next == "" || len(found) == limit {
			return found, next != "", err
		}
		after = next // a page may be short where few keys match
	}
}

// leastPart is how long a part of an id must be to find it: ids are random.
const leastPart = 6

// has is whether a part, in lower case, is in the name of the key or in its id, or is the end of the key.
func (k keyRow) has(part string) bool {
	return strings.Contains(strings.ToLower(k.Name), part) ||
		strings.HasPrefix(k.ID, part) || len(part) >= leastPart && strings.Contains(k.ID, part) ||
		strings.EqualFold(k.LastFour, part)
}

// listOnward reads a page of more keys than are sorted: the newest first, each page after the one before.
func (d *Dashboard) listOnward(r *http.Request, list *keyList) error {
	query, err := web.ReadQuery(r)
	if err != nil {
		return err
	}
	wanted := filterOf(list.State)
	f, err := keys.ReadFilterAs(query, wanted.state)
	if err != nil {
		return err
	}
	if wanted.unused {
		if err := f.ReadUnused(web.Query{"unused": {"90d"}}, d.now()); err != nil {
			return err
		}
	}
	f.ForOperator = true
	found, err := d.keys.Page(r.Context(), f, d.cursors)
	if err != nil {
		return err
	}
	for _, view := range found.Items {
		list.Keys = append(list.Keys, rowOf(view))
	}
	list.Total = len(list.Keys)
	if found.NextCursor != "" {
		list.Next = list.List + "?" + url.Values{"q": {f.Query}, "state": {list.State}, "cursor": {found.NextCursor}}.Encode()
	}
	list.Columns = list.columns()
	return d.finish(r.Context(), list)
}

// finish adds to the rows of a page what is shown of them alone.
func (d *Dashboard) finish(ctx context.Context, list *keyList) error {
	for i := range list.Keys {
		list.Keys[i].New = list.Keys[i].ID == list.New
	}
	return d.addDays(ctx, list.Keys)
}

// addDays adds the uses of the last 30 days.
func (d *Dashboard) addDays(ctx context.Context, rows []keyRow) error {
	var ids []string
	for _, row := range rows {
		ids = append(ids, row.ID)
	}
	days, err := d.store.KeyDaysOf(ctx, ids)
	if err != nil {
		return err
	}
	for i := range rows {
		rows[i].Days = sparkOf(days[i])
	}
	return nil
}
