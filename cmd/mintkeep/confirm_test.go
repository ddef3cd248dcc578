package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

// /dev/null is a character device and no terminal: a command with it as its input must not ask.
func TestConfirmAsksATerminalAlone(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func() (*os.File, error)
		says string
	}{
		{"/dev/null", func() (*os.File, error) { return os.Open(os.DevNull) }, "--yes is required"},
		{"a terminal", func() (*os.File, error) { return os.OpenFile("/dev/ptmx", os.O_RDWR, 0) }, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := tt.open()
			if err != nil {
				t.Skip(err)
			}
			defer f.Close()
			if tt.says == "" {
				if !isTerminal(f) {
					t.Error("is taken for none")
				}
				return
			}
			var stderr bytes.Buffer
			err = confirm(process{stdin: f, input: f, stdout: io.Discard, stderr: &stderr}, "everything is revoked")
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.Contains(stderr.String(), "Type yes") {
				t.Errorf("got %v, and %q", err, stderr.String())
			}
		})
	}
}
