package main

import (
	"context"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mintkeep/mintkeep/cmd/mintkeep/processtest"
)

// The test binary is mintkeep under that name: in the scripts, and in the processes that the tests start.
func TestMain(m *testing.M) {
	processtest.UseCommand("mintkeep")
	_ = flag.Set("test.parallel", "6") // unless -parallel says otherwise: the processes mostly wait
	testscript.Main(m, map[string]func(){"mintkeep": main})
}

// TestScripts runs testdata/script. Beside testscript's own commands there is
//
//	capture NAME FILE REGEXP
//
// which waits until the file has what the expression describes, and puts its
// first group into the environment. So a script can read what a server in the
// background prints:
//
//	exec sh -c 'exec mintkeep serve --addr=127.0.0.1:0 >banner 2>log' &server&
//	capture MINTKEEP_URL banner '(http://localhost:\d+)'
//	…
//	kill -INT server
//	wait server
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"capture": capture},
	})
}

const captureTimeout = processtest.Patience

func capture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE REGEXP")
	}
	re, err := regexp.Compile(args[2])
	ts.Check(err)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(captureTimeout); time.Now().Before(deadline); <-tick.C {
		text, _ := os.ReadFile(ts.MkAbs(args[1])) // not there yet
		if match := re.FindSubmatch(text); len(match) > 1 {
			ts.Setenv(args[0], string(match[1]))
			return
		}
	}
	text, _ := os.ReadFile(ts.MkAbs(args[1]))
	ts.Fatalf("%s has no %s after %v:\n%s", args[1], args[2], captureTimeout, text)
}

// result is what a user sees of a command.
type result struct {
	code           int
	stdout, stderr string
}

// mintkeep runs a command in this process.
func mintkeep(t *testing.T, environ []string, stdin string, args ...string) result {
	t.Helper()
	return mintkeepAt(t, time.Now, environ, stdin, args...)
}

// mintkeepAt does so by a clock.
func mintkeepAt(t *testing.T, now func() time.Time, environ []string, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr strings.Builder
	code := run(t.Context(), process{
		args: args, environ: environ, stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, now: now,
	})
	return result{code, stdout.String(), stderr.String()}
}

// A wrong configuration is reported, and not served, with every mistake, and without a stack or a secret.
func TestConfigurationMistakes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), processtest.Patience)
	defer cancel()
	var stderr strings.Builder
	code := run(ctx, process{
		args:    []string{"serve", "--token-ttl=canary", "--admin-token=canary"},
		environ: []string{"MINTKEEP_REDIS_URL=redis://:canary@redis/0", "MINTKEEP_MASTER_KEY=canary"},
		stdout:  &stderr, stderr: &stderr,
	})
	if ctx.Err() != nil || code != exitUsage {
		t.Errorf("got exit code %d, %v; want %d", code, ctx.Err(), exitUsage)
	}
	for _, want := range []string{"4 errors", "MINTKEEP_ISSUER ", "MINTKEEP_MASTER_KEY ", "MINTKEEP_ADMIN_TOKEN ", "MINTKEEP_TOKEN_TTL "} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("no %q in\n%s", want, stderr.String())
		}
	}
	for _, never := range []string{"canary", "goroutine"} {
		if strings.Contains(stderr.String(), never) {
			t.Errorf("%q in\n%s", never, stderr.String())
		}
	}
}
