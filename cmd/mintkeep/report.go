package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/mintkeep/mintkeep/server/credential"
)

// wantsJSON is whether the command line has --json. It is looked up in the arguments, which may be wrong otherwise.
func (p process) wantsJSON() bool {
	args := p.args
	if end := slices.Index(args, "--"); end >= 0 {
		args = args[:end]
	}
	on := false
	for _, arg := range args { // the last one counts
		if value, given := strings.CutPrefix(arg, "--json="); given {
			on = !slices.Contains([]string{"false", "no", "0"}, strings.ToLower(value))
		} else if arg == "--json" {
			on = true
		}
	}
	return on
}

// jwtLike is what looks like a JWT: its header, a JSON object, begins with eyJ.
var jwtLike = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]*`)

// withoutCredentials is the text of an error, which may repeat an argument. Logs keep the standard error.
func withoutCredentials(text string) string {
	text = jwtLike.ReplaceAllLiteralString(text, "(withheld)")
	for found, err := range credential.Scan(strings.NewReader(text)) {
		if err == nil {
			text = strings.ReplaceAll(text, found, "(withheld)")
		}
	}
	return text
}

// report prints an error to the standard error: as text, or with --json as one object. The standard output has the
// results alone.
func (p process) report(err error) {
	if !p.wantsJSON() {
		fmt.Fprintf(p.stderr, "mintkeep: %s\n", withoutCredentials(err.Error()))
		return
	}
	report := struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
		Status      int    `json:"status,omitempty"` // of the server's answer
	}{Code: "failed", Description: err.Error()}
	var usage usageError
	var answered *apiError
	switch {
	case errors.As(err, &answered):
		report.Code, report.Status = cmp.Or(answered.Code, report.Code), answered.Status
		if report.Description == answered.Error() { // the command adds nothing
			report.Description = cmp.Or(answered.Description, http.StatusText(answered.Status))
		}
	case errors.As(err, &usage):
		report.Code = "usage"
	}
	report.Description = withoutCredentials(report.Description)
	p.printJSON(report)
}

// warn prints warnings likewise.
func warn(p process, warnings []string) {
	for _, warning := range warnings {
		if p.wantsJSON() {
			p.printJSON(map[string]string{"warning": warning})
			continue
		}
		fmt.Fprintf(p.stderr, "mintkeep: warning: %s\n", warning)
	}
}

func (p process) printJSON(v any) {
	lines := json.NewEncoder(p.stderr)
	lines.SetEscapeHTML(false)
	_ = lines.Encode(v) // there is nowhere else to say it
}
