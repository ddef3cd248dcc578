package dashboard

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mintkeep/mintkeep/store"
)

// userUse is what programs do with the keys of a user, for the pages that ask before a change of the user.
type userUse struct {
	Keys   int  // active ones
	More   bool // than those
	Recent string
}

// userUse reads the first active keys of a user, and whether one was used within a day.
func (d *Dashboard) userUse(r *http.Request, u *store.User) (use userUse, err error) {
	found, next, err := d.store.Keys(r.Context(), store.KeyFilter{UserID: u.ID, State: store.StateLive}, "", 200)
	if err != nil {
		return use, err
	}
	uses, err := d.store.KeyUses(r.Context(), found)
	if err != nil {
		return use, err
	}
	use.Keys, use.More = len(found), next != ""
	latest := d.now().Add(-24 * time.Hour)
	for i, last := range uses {
		if last.At.After(latest) {
			latest = last.At
			use.Recent = fmt.Sprintf("The API key “%s” was used %s %s.", found[i].Name, ago(d.now(), last.At), through(last.From))
		}
	}
	return use, nil
}

// keys says what a change does to the active keys: "are revoked".
func (u userUse) keys(done string) string {
	switch {
	case u.Keys == 0:
		return "The user has no active API key."
	case u.More:
		return fmt.Sprintf("More than %d active API keys %s.", u.Keys, done)
	case u.Keys == 1:
		return fmt.Sprintf("1 active API key %s.", strings.Replace(done, "are", "is", 1))
	}
	return fmt.Sprintf("%d active API keys %s.", u.Keys, done)
}

func disableQuestion(u *store.User, use userUse) confirmation {
	return confirmation{
		Title: "Disable " + u.Metadata.Email + "?", Button: "Disable user", Warning: use.Recent,
		Effects: []string{
			"The user is signed out everywhere and cannot sign in. " + use.keys("are rejected from now on"),
			"When the user is enabled again, these keys work again.",
		},
	}
}

func promoteQuestion(u *store.User, _ userUse) confirmation {
	return confirmation{
		Title: "Make " + u.Metadata.Email + " an operator?", Button: "Make operator",
		Effects: []string{"Operators have full access: they manage all clients, users and API keys. They can also disable or delete you."},
	}
}

func demoteQuestion(u *store.User, _ userUse) confirmation {
	return confirmation{
		Title: "Make " + u.Metadata.Email + " a developer?", Button: "Make developer",
		Effects: []string{
			"The user loses the operator pages at once.",
			"Their API keys lose the scope mintkeep:admin permanently, even if the user becomes an operator again. Other scopes stay.",
		},
	}
}

func deleteQuestion(u *store.User, use userUse) confirmation {
	return confirmation{
		Title: "Delete " + u.Metadata.Email + "?", Button: "Delete user", Warning: use.Recent, Type: u.Metadata.Email, Kind: "email",
		Effects: []string{
			"The user is deleted and signed out everywhere. " + use.keys("are revoked"),
			"This cannot be undone.",
		},
	}
}
