package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/declare"
)

// applyWorkers is how many objects are changed at once.
const applyWorkers = 8

// applier does what a plan says.
type applier struct {
	admin *api
	out   printer
	plan  *declare.Plan

	mu     sync.Mutex // of what follows, and of the output
	result applied
	errs   []error
}

func newApplier(admin *api, out printer, plan *declare.Plan) *applier {
	return &applier{admin: admin, out: out, plan: plan, result: applied{Changes: plan.Lines()}}
}

// run does the steps in the order of the plan, those of one verb at once. After an error no further step begins, and what was
// done is said.
func (a *applier) run(ctx context.Context) error {
	for _, verb := range []declare.Verb{declare.Create, declare.Update, declare.Delete} {
		a.each(ctx, verb, func(step *declare.Step) { a.finish(step, a.step(ctx, step)) })
	}
	if err := ctx.Err(); err != nil && len(a.errs) == 0 {
		a.errs = append(a.errs, err)
	}
	err := errors.Join(a.errs...)
	if e := a.summary(); err == nil {
		return e
	}
	return fmt.Errorf("%w\n%d of %s changed; run the command again for the rest",
		err, a.result.Made, counted(len(a.plan.Steps), "object"))
}

func (a *applier) summary() error {
	if a.out.json {
		return a.out.applied(a.result)
	}
	if len(a.result.Secrets) > 0 {
		a.out.note("Store the secrets now: they are not shown again.")
	}
	return nil
}

// each does something with the steps of one verb, with some at once, until something has failed.
func (a *applier) each(ctx context.Context, verb declare.Verb, do func(*declare.Step)) {
	var running sync.WaitGroup
	defer running.Wait()
	room := make(chan struct{}, applyWorkers)
	for _, step := range a.plan.Steps {
		if step.Verb != verb {
			continue
		}
		room <- struct{}{}
		if a.stopped() || ctx.Err() != nil {
			return
		}
		running.Go(func() {
			defer func() { <-room }()
			do(step)
		})
	}
}

func (a *applier) stopped() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.errs) > 0
}

// finish notes what has become of a step.
func (a *applier) finish(step *declare.Step, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.result.Made++
		err = a.out.done("%sd %s %s", step.Verb, step.Kind, step.ID)
	} else {
		a.result.Failed = append(a.result.Failed, failedObject{step.Kind, step.ID, err.Error()})
		err = fmt.Errorf("%s %s: %w", step.Kind, step.ID, err)
	}
	if err != nil {
		a.errs = append(a.errs, err)
	}
}

func (a *applier) step(ctx context.Context, s *declare.Step) error {
	switch {
	case s.Verb == declare.Delete:
		return a.remove(ctx, s)
	case s.Kind == declare.KindUser && s.Verb == declare.Create:
		return a.createUser(ctx, s)
	case s.Kind == declare.KindUser:
		return a.updateUser(ctx, s)
	case s.Verb == declare.Create:
		return a.createClient(ctx, s)
	}
	return a.updateClient(ctx, s)
}

// path is that of an object or of a list, with the declaration, which the audit event then has.
func (a *applier) path(s *declare.Step, segments ...string) string {
	return with(resource("/admin/"+s.Kind+"s", segments...), url.Values{"owner": {s.Owner}, "file": {recordable(s.File)}})
}

// recordable is the name of a file as an audit event has it: the end of a long path, in printable text.
func recordable(file string) string {
	name := printable(strings.ToValidUTF8(file, "?"))
	for len(name) > adminapi.MaxFileName {
		_, size := utf8.DecodeRuneInString(name)
		name = name[size:]
	}
	return name
}

// remove deletes an object; a client only if it is still what the plan has seen.
func (a *applier) remove(ctx context.Context, s *declare.Step) error {
	if s.LiveClient != nil {
		return a.delete(ctx, a.path(s, s.ID), header{"If-Match", s.LiveClient.ETag})
	}
	return a.delete(ctx, a.path(s, s.LiveUser.ID))
}

// delete deletes what may be gone already.
func (a *applier) delete(ctx context.Context, path string, headers ...header) error {
	err := retrying(ctx, func(int) error {
		_, err := a.admin.call(ctx, http.MethodDelete, path, "", nil, headers...)
		return err
	})
	var answered *apiError
	if errors.As(err, &answered) && answered.Status == http.StatusNotFound {
		return nil
	}
	return err
}

const applyTries = 4

// retrying sends a request that may be repeated, and again while the server asks for that: 503 with Retry-After.
func retrying(ctx context.Context, send func(try int) error) error {
	for try := 1; ; try++ {
		err := send(try)
		var answered *apiError
		if try == applyTries || !errors.As(err, &answered) || answered.Status != http.StatusServiceUnavailable || answered.retryAfter == nil {
			return err
		}
		select {
		case <-time.After(min(*answered.retryAfter, longWait)):
		case <-ctx.Done():
			return err
		}
	}
}
