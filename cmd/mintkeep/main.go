package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal stops the process at once
	os.Exit(run(ctx, process{
		args:    os.Args[1:],
		environ: os.Environ(),
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		now:     time.Now,
	}))
}

// process is everything outside that a command uses.
type process struct {
	args    []string // without the program's name
	environ []string // NAME=value
	stdin   io.Reader
	input   io.Reader // stdin, until the command is interrupted: what commands read; run sets it
	stdout  io.Writer
	stderr  io.Writer
	now     func() time.Time
}

// Exit codes, as in the help.
const (
	exitOK     = 0
	exitFailed = 1 // the operation failed
	exitUsage  = 2 // the command line or the configuration is wrong

	exitInactive = 3 // introspect: the credential is not active
	exitDiffers  = 3 // apply --dry-run: there is something to do
	exitGuards   = 4 // --wait: some guards may not know yet what was revoked
)

// commandLine is the grammar.
type commandLine struct {
	Serve       serveCommand       `cmd:"" default:"withargs" help:"Run the server. This is what mintkeep does without a command."`
	Client      clientCommand      `cmd:"" help:"Register and manage clients, over the admin API of a running server."`
	User        userCommand        `cmd:"" help:"Invite and manage users, over the admin API of a running server."`
	Key         keyCommand         `cmd:"" help:"Create, list, rotate and revoke API keys, and report leaked credentials."`
	Guard       guardCommand       `cmd:"" help:"List the guards: services that keep answers of introspection, and learn what was revoked."`
	SigningKey  signingKeyCommand  `cmd:"" name:"signing-key" help:"List and rotate the keys that sign JWTs."`
	Apply       applyCommand       `cmd:"" help:"Make the clients and users of a running server what files declare."`
	Export      exportCommand      `cmd:"" help:"Write the clients and users of a running server as such a file, without secrets."`
	Audit       auditCommand       `cmd:"" help:"Export the audit log, over the admin API of a running server."`
	Token       tokenCommand       `cmd:"" help:"Fetch an access token as a client, and print it."`
	Introspect  introspectCommand  `cmd:"" help:"Ask whether an access token or an API key is active."`
	Doctor      doctorCommand      `cmd:"" help:"Check the configuration and Redis, and suggest fixes."`
	Fence       fenceCommand       `cmd:"" help:"Make a restored Redis safe: revoke every token, and replay revocations from the audit log."`
	Rekey       rekeyCommand       `cmd:"" help:"Re-encrypt stored keys and password hashes with the new master key."`
	Healthcheck healthcheckCommand `cmd:"" help:"Exit 0 if the local server is ready."`
	Completion  completionCommand  `cmd:"" help:"Print a script that completes commands and flags in a shell."`
	Version     versionCommand     `cmd:"" help:"Print version, commit and Go version."`
}

const description = `OAuth 2.0 authorization server for machines.

Exit codes: 0 done; 1 the operation failed; 2 the command line or the configuration is wrong; 3 introspect:
the credential is not active, apply --dry-run: there is something to do; 4 --wait: it is revoked, and some guards
may not know yet.

With --json, an error is one JSON object on the standard error: {"error":"…","error_description":"…"}.`

// run does what the arguments say and returns the exit code.
func run(ctx context.Context, p process) int {
	p.input = interruptible{ctx, p.stdin}
	command, code := parse(ctx, p)
	if command == nil {
		return code
	}
	err := command.Run()
	if err == nil {
		return exitOK
	}
	if errors.Is(err, errInactive) {
		return exitInactive // the answer is printed
	}
	if errors.Is(err, errDiffers) {
		return exitDiffers // likewise
	}
	if errors.Is(err, errGuards) {
		return exitGuards // likewise
	}
	p.report(err)
	if usage := (usageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailed
}

// parse returns the command to run, or nil and an exit code when everything is
// said already.
func parse(ctx context.Context, p process) (*kong.Context, int) {
	helped := false
	grammar := &commandLine{}
	grammar.Serve.init()
	grammar.Doctor.init()
	grammar.Healthcheck.init()
	parser := kong.Must(grammar,
		kong.Name("mintkeep"),
		kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, FlagsLast: true, WrapUpperBound: 100}),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(int) { helped = true }), // after --help; parsing goes on, to no effect
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
		kong.BindToProvider(newAPI),
		offered(),
	)
	command, err := parser.Parse(spoken(p.args))
	switch {
	case helped:
		return nil, exitOK
	case err != nil:
		help := blamed(err, p.args)
		if strings.Contains(err.Error(), "-----BEGIN ") { // kong quotes what it cannot read
			err = errors.New("an argument is a key: give the path of a file that has it")
		}
		p.report(usageError{err})
		if !p.wantsJSON() {
			fmt.Fprintf(p.stderr, "Run \"%s --help\" for usage.\n", help)
		}
		return nil, exitUsage
	}
	return command, exitOK
}

// blamed is the command whose help a user with this error should read. It is
// none of them when serve was not asked for but is what runs by default.
func blamed(err error, args []string) string {
	var wrong *kong.ParseError
	if !errors.As(err, &wrong) || wrong.Context == nil {
		return "mintkeep"
	}
	command := wrong.Context.Selected()
	if command == nil || command.Name == "serve" && !slices.Contains(args, "serve") {
		return "mintkeep"
	}
	return command.FullPath()
}

// spoken turns what users try first into what the grammar knows.
func spoken(args []string) []string {
	if len(args) == 0 {
		return args
	}
	switch args[0] {
	case "help":
		return append(args[1:len(args):len(args)], "--help")
	case "--version":
		return append([]string{"version"}, args[1:]...)
	}
	return args
}

// usageError marks an error that the caller's command line or configuration
// caused: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
