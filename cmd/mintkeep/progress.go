package main

import (
	"fmt"
	"io"
)

// progress is one line on a terminal, written over and over, and nothing anywhere else.
type progress struct {
	out io.Writer
	on  bool
}

const clearLine = "\r\x1b[K"

func (p progress) users(done, all int64) {
	if p.on {
		fmt.Fprintf(p.out, "%s%d of %s", clearLine, done, counted(all, "user"))
	}
}

func (p progress) count(done int, what string) {
	if p.on {
		fmt.Fprintf(p.out, "%s%d %s", clearLine, done, what)
	}
}

// clear erases the line.
func (p progress) clear() {
	if p.on {
		fmt.Fprint(p.out, clearLine)
	}
}
