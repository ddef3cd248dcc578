package main

import (
	"fmt"

	"github.com/mintkeep/mintkeep/config"
)

const defaultURL = "http://localhost:8080"

// environment reads the variables of the commands that call a server, and collects
// every mistake to report them at once.
type environment struct {
	p        process
	src      config.Source
	mistakes []config.Mistake
}

func newEnvironment(p process) *environment {
	return &environment{p: p, src: config.Source{Environ: p.environ}}
}

func (e *environment) mistake(name, problem, example string) {
	e.mistakes = append(e.mistakes, config.Mistake{Setting: name, Problem: problem, Example: name + "=" + example})
}

// url is where the server is. Each command that asks for it sends a credential there.
func (e *environment) url() string {
	text := e.src.Get("MINTKEEP_URL")
	if text == "" {
		return defaultURL
	}
	origin, err := config.ParseOrigin(text)
	if err != nil {
		e.mistake("MINTKEEP_URL", err.Error(), defaultURL)
	}
	if config.PlainOffLoopback(origin) {
		warn(e.p, []string{"MINTKEEP_URL is plain http off loopback: the credential and the answer travel unprotected; use https"})
	}
	return origin
}

// text is a variable that must be set.
func (e *environment) text(name, example string) string {
	text := e.src.Get(name)
	if text == "" {
		e.mistake(name, "is required", example)
	}
	return text
}

// secret is the same for one that may be in a file.
func (e *environment) secret(name, example string) config.Secret {
	secret, warning, err := e.src.Secret(name)
	if warning != "" {
		warn(e.p, []string{warning})
	}
	switch {
	case err != nil:
		e.mistake(name, err.Error(), example)
	case secret == "":
		e.mistake(name, "is required, or "+name+"_FILE", example)
	}
	return secret
}

func (e *environment) err() error {
	if len(e.mistakes) == 0 {
		return nil
	}
	return usageError{&config.Error{Mistakes: e.mistakes}}
}

func warn(p process, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintf(p.stderr, "mintkeep: warning: %s\n", warning)
	}
}
