package main

import (
	"os/exec"
	"strings"
	"testing"
)

func completionScript(t *testing.T, shell string) string {
	t.Helper()
	got := mintkeep(t, nil, "", "completion", shell)
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("%s: got %+v", shell, got)
	}
	return got.stdout
}

// Each shell accepts its script, if it is there; each script has every command, and no hidden one.
func TestCompletion(t *testing.T) {
	for shell, check := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		t.Run(shell, func(t *testing.T) {
			script := completionScript(t, shell)
			for _, word := range []string{"signing-key", "revoke-secret", "--wide", "--overlap", "introspect", "rotate", "zsh"} {
				if !strings.Contains(script, strings.TrimPrefix(word, "--")) {
					t.Errorf("it has no %s", word)
				}
			}
			if strings.Contains(script, "end-secret") {
				t.Error("it has a hidden command")
			}
			path, err := exec.LookPath(shell)
			if err != nil {
				missing(t, shell, shell+" is not installed")
			}
			run := exec.CommandContext(t.Context(), path, check...)
			run.Stdin = strings.NewReader(script)
			if out, err := run.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
	if got := mintkeep(t, nil, "", "completion", "cmd.exe"); got.code != exitUsage {
		t.Errorf("another shell: got %+v", got)
	}
}

// What bash offers behind each command line.
func TestCompletionInBash(t *testing.T) {
	path, err := exec.LookPath("bash")
	if err != nil {
		missing(t, "bash", "bash is not installed")
	}
	script := completionScript(t, "bash")
	for line, want := range map[string]string{
		"mintkeep cl":                        "client",
		"mintkeep key r":                     "rotate revoke report rules",
		"mintkeep key list --w":              "--wide",
		"mintkeep key list --user ada --st":  "--state",
		"mintkeep client update billing --n": "--name",
		"mintkeep completion b":              "bash",
		"mintkeep client end":                "",
		"mintkeep signing-key rotate --co":   "--compromised",
	} {
		words := strings.Fields(line)
		program := script + "\nCOMP_WORDS=(" + line + "); COMP_CWORD=" + string(rune('0'+len(words)-1)) + "; _mintkeep; echo ${COMPREPLY[@]}"
		out, err := exec.CommandContext(t.Context(), path, "--norc", "-c", program).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", line, got, err, want)
		}
	}
}
