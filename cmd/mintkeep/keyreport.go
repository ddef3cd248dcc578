package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/mintkeep/mintkeep/server/adminapi"
	"github.com/mintkeep/mintkeep/server/credential"
)

// keyReport revokes what has leaked.
type keyReport struct{ waiting }

// Help tells what is looked for, and of the exit code.
func (*keyReport) Help() string {
	return `Reads any text, of any size: a file that was pushed accidentally, a log, a paste. Every
API key, client secret and opaque access token in it, of this prefix or an earlier
one, is reported to the server, which revokes those that are active. Prints how many
were found and how many were active, and never a credential. Compressed or encoded text
is not searched, and JWTs are not reported: client revoke-tokens revokes those.

    mintkeep key report <leak.txt

Exits 1 if nothing was found: the text may be the wrong one. With --json,
{"found":0,"live":0} is printed then.

` + adminHelp
}

// Run reports what is found.
func (c *keyReport) Run(ctx context.Context, p process, admin *api, out printer) error {
	if isTerminal(p.stdin) {
		out.note("Paste the text, then press Ctrl-D.")
	}
	leak := report{admin: admin, seen: map[digest]bool{}}
	if err := leak.read(ctx, p.input); err != nil {
		return leak.unfinished(err)
	}
	return c.after(ctx, p, admin, out, leak.print)
}

const (
	// maxReport is how many credentials the server takes at a time.
	maxReport = 1000
	// maxSeen bounds what is kept to tell repetitions. A text with more credentials
	// may have some reported and counted twice, which revokes them no less.
	maxSeen = 1 << 20
)

// digest stands for a credential that was seen.
type digest [16]byte

// report is the state of one run.
type report struct {
	admin       *api
	seen        map[digest]bool
	batch       []string
	found, live int // of what was reported
}

// read reports what is in the text as it comes.
func (r *report) read(ctx context.Context, text io.Reader) error {
	own := "" // the credential of the caller goes last: once it is revoked, so is the access
	for found, err := range credential.Scan(text) {
		switch {
		case err != nil:
			return fmt.Errorf("reading the standard input: %w", err)
		case found == r.admin.token.Reveal():
			own = found
		case r.isNew(found):
			if err := r.add(ctx, found); err != nil {
				return err
			}
		}
	}
	if own != "" {
		r.batch = append(r.batch, own)
	}
	return r.send(ctx)
}

func (r *report) isNew(found string) bool {
	sum := sha256.Sum256([]byte(found))
	d := digest(sum[:len(digest{})])
	if r.seen[d] {
		return false
	}
	if len(r.seen) >= maxSeen {
		clear(r.seen)
	}
	r.seen[d] = true
	return true
}

// add keeps one place in the batch for the caller's own.
func (r *report) add(ctx context.Context, found string) error {
	r.batch = append(r.batch, found)
	if len(r.batch) < maxReport-1 {
		return nil
	}
	return r.send(ctx)
}

func (r *report) send(ctx context.Context) error {
	if len(r.batch) == 0 {
		return nil
	}
	body, err := r.admin.post(ctx, "/admin/keys/report", map[string]any{"credentials": r.batch})
	if err != nil {
		return err
	}
	answer, err := parsed[adminapi.LeakReport](body)
	if err != nil {
		return err
	}
	r.found += len(r.batch)
	r.live += answer.Active
	r.batch = r.batch[:0]
	return nil
}

// unfinished tells what was done before the error.
func (r *report) unfinished(err error) error {
	if r.found == 0 {
		return fmt.Errorf("%w; nothing is known to be revoked: report the text again", err)
	}
	return fmt.Errorf("%w; before that: %s. Report the text again", err, r)
}

func (r *report) print(out printer) error {
	if out.json {
		body, err := json.Marshal(map[string]int{"found": r.found, "live": r.live})
		if err != nil {
			return err
		}
		if err := out.pretty(body); err != nil {
			return err
		}
	}
	if r.found == 0 {
		return errors.New("found no credential; nothing was reported")
	}
	return out.done("%s", r)
}

// String tells of the numbers.
func (r *report) String() string {
	return fmt.Sprintf("Found %s; revoked %d", counted(int64(r.found), "credential"), r.live)
}

// interruptible is a reader that the end of a context ends. A read from a terminal
// knows of no other: the one under way is left behind, with its buffer, to the end
// of the process.
type interruptible struct {
	ctx  context.Context
	text io.Reader
}

func (i interruptible) Read(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	go func() {
		n, err := i.text.Read(b)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return r.n, r.err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}
