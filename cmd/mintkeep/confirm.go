package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// confirm says what is about to happen, and asks the user at the terminal. Without a terminal it takes --yes.
func confirm(p process, what string) error {
	fmt.Fprintln(p.stderr, what)
	if !isTerminal(p.stdin) {
		return usagef("--yes is required where no terminal can ask")
	}
	fmt.Fprint(p.stderr, "Type yes to continue: ")
	answer, err := bufio.NewReader(p.input).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}
