package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/mintkeep/mintkeep/server/adminapi"
)

// waiting is the flag of the commands that revoke something.
type waiting struct {
	Wait waitTime `help:"Wait until each guard has read what was revoked, at most 2s, or --wait=DURATION up to 10s. Exits 4 if a guard has not by then."`
}

// waitTime is the value of --wait, which may be left out. Zero: the flag was not given.
type waitTime time.Duration

const (
	defaultWait = waitTime(2 * time.Second)
	minWait     = waitTime(100 * time.Millisecond)
	maxWait     = waitTime(10 * time.Second) // the server counts for as long which guards pass a probe
)

// IsBool lets the flag have no value.
func (*waitTime) IsBool() bool { return true }

// Decode reads the flag.
func (w *waitTime) Decode(ctx *kong.DecodeContext) error {
	*w = defaultWait
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		return nil
	}
	d, err := time.ParseDuration(fmt.Sprint(ctx.Scan.Pop().Value))
	if *w = waitTime(d); err != nil || *w < minWait || *w > maxWait {
		return errors.New("must be a duration from 100ms to 10s, such as 2s")
	}
	return nil
}

// errGuards: some guards may not have read yet what was revoked. Which ones is printed.
var errGuards = errors.New("some guards may not know yet what was revoked")

// after shows what was done, and with --wait waits until each guard knows of it.
func (w waiting) after(ctx context.Context, p process, admin *api, out printer, show func(printer) error) error {
	if w.Wait == 0 {
		return show(out)
	}
	if out.json {
		return w.afterInJSON(ctx, p, admin, out, show)
	}
	if err := show(out); err != nil {
		return err
	}
	progress, err := w.probe(ctx, admin, newProgress(p, out))
	if err != nil {
		return err
	}
	if err := out.done("%s", guardsLine(progress)); err != nil {
		return err
	}
	return notAll(progress)
}

// afterInJSON adds what is known of the guards to the object that was shown, as its member guards, or is that alone.
func (w waiting) afterInJSON(ctx context.Context, p process, admin *api, out printer, show func(printer) error) error {
	var shown bytes.Buffer
	inside := out
	inside.out = &shown
	if err := show(inside); err != nil {
		_, _ = shown.WriteTo(out.out)
		return err
	}
	progress, err := w.probe(ctx, admin, newProgress(p, out))
	if err != nil {
		_, _ = shown.WriteTo(out.out)
		return err
	}
	body, err := json.Marshal(progress)
	if err != nil {
		return err
	}
	if before, isObject := bytes.CutSuffix(bytes.TrimSpace(shown.Bytes()), []byte("}")); isObject {
		body = bytes.Join([][]byte{before, []byte(`,"guards":`), body, []byte("}")}, nil)
	}
	if err := out.pretty(body); err != nil {
		return err
	}
	return notAll(progress)
}

func newProgress(p process, out printer) progress {
	return progress{out: p.stderr, on: isTerminal(p.stderr) && !out.json}
}

// probe asks the guards, and waits for their answers.
func (w waiting) probe(ctx context.Context, admin *api, shown progress) (*adminapi.ProbeProgress, error) {
	const failed = "this was done, but the guards could not be asked whether they know: %w"
	deadline := time.Now().Add(time.Duration(w.Wait))
	body, err := beginProbe(ctx, admin, deadline)
	if err != nil {
		return nil, fmt.Errorf(failed, err)
	}
	begun, err := parsed[adminapi.Probe](body)
	if err != nil {
		return nil, fmt.Errorf(failed, err)
	}
	defer shown.clear()
	for {
		left := time.Until(deadline)
		wait := min(max(left, 0), time.Second).Milliseconds()
		body, err := admin.get(ctx, resource("/admin/guards/probe", begun.ID), url.Values{"wait": {strconv.FormatInt(wait, 10)}})
		if err != nil {
			return nil, fmt.Errorf(failed, err)
		}
		of, err := parsed[adminapi.ProbeProgress](body)
		if err != nil {
			return nil, fmt.Errorf(failed, err)
		}
		if of.Complete || left <= 0 {
			return &of, nil
		}
		shown.count(of.Passed, "of "+counted(int64(of.Guards), "guard"))
	}
}

// beginProbe tries again until the deadline if the server is busy.
func beginProbe(ctx context.Context, admin *api, deadline time.Time) (json.RawMessage, error) {
	const pause = 250 * time.Millisecond
	for {
		body, err := admin.post(ctx, "/admin/guards/probe", nil)
		var answered *apiError
		busy := errors.As(err, &answered) && (answered.Status == http.StatusTooManyRequests || answered.Status == http.StatusServiceUnavailable)
		if !busy || time.Until(deadline) < pause {
			return body, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func notAll(p *adminapi.ProbeProgress) error {
	if p.Complete {
		return nil
	}
	return errGuards
}

// maxNamed is how many guards are named that have not passed.
const maxNamed = 5

// guardsLine is the result of a probe in one line.
func guardsLine(p *adminapi.ProbeProgress) string {
	if p.Guards == 0 {
		return "No guard is connected"
	}
	if p.Passed == p.Guards && !p.Truncated {
		return fmt.Sprintf("%d of %s%s", p.Passed, counted(int64(p.Guards), "guard"), within(p))
	}
	parts := []string{fmt.Sprintf("%d of %d%s", p.Passed, p.Guards, within(p))}
	more := 0
	for _, g := range p.Items {
		switch {
		case g.State == adminapi.ProbePassed:
		case len(parts) > maxNamed:
			more++
		case g.State == adminapi.ProbeSilent:
			parts = append(parts, guardName(g)+" was last heard "+secondsAgo(g.LastHeardMS)+" and asks per call")
		default:
			parts = append(parts, guardName(g)+" was last heard "+secondsAgo(g.LastHeardMS)+" and may not know yet")
		}
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	if p.Truncated {
		parts = append(parts, "there are more guards than the server counts")
	}
	return strings.Join(parts, "; ")
}

func within(p *adminapi.ProbeProgress) string {
	if p.PassedMS == nil {
		return ""
	}
	return fmt.Sprintf(" in %d ms", *p.PassedMS)
}

func guardName(g adminapi.ProbedGuard) string {
	if g.Instance == "" {
		return "an unnamed guard of client " + g.ClientID
	}
	return g.Instance
}

func secondsAgo(ms int64) string { return fmt.Sprintf("%.1f s ago", float64(ms)/1000) }
