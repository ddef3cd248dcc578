package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/declare"
)

// check has the server check the clients that are to be created or changed, before anything is: some limits are its settings,
// and the keys at a URL must be there. mistakes are what is wrong in the files by that.
func (a *applier) check(ctx context.Context) (mistakes []declare.Mistake, err error) {
	for _, verb := range []declare.Verb{declare.Create, declare.Update} {
		a.each(ctx, verb, func(step *declare.Step) {
			err := a.checkStep(ctx, step)
			a.mu.Lock()
			defer a.mu.Unlock()
			var answered *apiError
			switch {
			case err == nil:
			case errors.As(err, &answered) && answered.Status == http.StatusBadRequest:
				mistakes = append(mistakes, step.Client.Rejected(answered.Description))
			default:
				a.errs = append(a.errs, fmt.Errorf("%s %s: %w", step.Kind, step.ID, err))
			}
		})
	}
	slices.SortFunc(mistakes, func(x, y declare.Mistake) int {
		return cmp.Or(strings.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line))
	})
	return mistakes, errors.Join(a.errs...)
}

// checkStep sends the request of a client to be checked.
func (a *applier) checkStep(ctx context.Context, s *declare.Step) error {
	if s.Client == nil || s.Verb == declare.Update && len(s.Members) == 0 {
		return nil
	}
	const only = "&dry_run=true"
	if s.Verb == declare.Create {
		_, err := a.admin.post(ctx, a.path(s)+only, newClient(s))
		return err
	}
	_, err := a.admin.call(ctx, http.MethodPut, a.path(s, s.ID)+only, "application/json", s.Client.Members, header{"If-Match", s.LiveClient.ETag})
	return err
}
