package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// completionCommand prints a script that is made of the grammar, so that it has every command and flag.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help tells how to install it.
func (*completionCommand) Help() string {
	return `Load it in the shell:

    source <(mintkeep completion bash)     # bash: now, or in ~/.bashrc
    source <(mintkeep completion zsh)      # zsh: likewise, in ~/.zshrc behind compinit
    mintkeep completion fish | source      # fish: likewise, in ~/.config/fish/config.fish

Or write it to the file from which the shell loads completions:

    mintkeep completion bash >/etc/bash_completion.d/mintkeep
    mintkeep completion zsh  >"${fpath[1]}/_mintkeep"
    mintkeep completion fish >~/.config/fish/completions/mintkeep.fish`
}

// Run prints the script.
func (c *completionCommand) Run(p process, grammar *kong.Kong) error {
	script := map[string]func([]completed) string{"bash": bashScript, "zsh": zshScript, "fish": fishScript}[c.Shell]
	_, err := fmt.Fprint(p.stdout, script(completions(grammar.Model.Node, "")))
	return err
}

// completed is what may follow a command.
type completed struct {
	path  string // "client list"; empty: mintkeep itself
	words []completedWord
}

type completedWord struct{ word, help string }

// completions are those of a command and of the ones below it.
func completions(node *kong.Node, path string) []completed {
	c := completed{path: path}
	var below []completed
	for _, child := range node.Children {
		if child.Hidden || child.Type != kong.CommandNode {
			continue
		}
		c.words = append(c.words, completedWord{child.Name, child.Help})
		below = append(below, completions(child, strings.TrimSpace(path+" "+child.Name))...)
	}
	for _, arg := range node.Positional {
		for _, value := range arg.EnumSlice() {
			if value != "" {
				c.words = append(c.words, completedWord{value, ""})
			}
		}
	}
	for at := node; at != nil; at = at.Parent {
		for _, flag := range at.Flags {
			if !flag.Hidden {
				c.words = append(c.words, completedWord{"--" + flag.Name, flag.Help})
			}
		}
	}
	return append([]completed{c}, below...)
}

// cases are the patterns of a case statement that follows the words of a command line to the command.
func cases(all []completed) string {
	var paths []string
	for _, c := range all {
		if c.path != "" {
			paths = append(paths, `"`+c.path+`"`)
		}
	}
	return strings.Join(paths, "|")
}

// quoted is a word of a shell, in single quotes. mark stands for what the shells write a quote as.
func quoted(s, mark string) string { return "'" + strings.ReplaceAll(s, "'", mark) + "'" }

// firstSentence is what fits behind a word.
func firstSentence(help string) string {
	sentence, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(sentence, ".")
}

func bashScript(all []completed) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion of mintkeep
_mintkeep() {
    local cur=${COMP_WORDS[COMP_CWORD]} cmd= words= word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${cmd:+$cmd }$word" in
            %s) cmd="${cmd:+$cmd }$word" ;;
        esac
    done
    case "$cmd" in
`, cases(all))
	for _, c := range all {
		var words []string
		for _, w := range c.words {
			words = append(words, w.word)
		}
		fmt.Fprintf(&b, "        %q) words=%q ;;\n", c.path, strings.Join(words, " "))
	}
	b.WriteString(`    esac
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _mintkeep mintkeep
`)
	return b.String()
}

func zshScript(all []completed) string {
	var b strings.Builder
	fmt.Fprintf(&b, `#compdef mintkeep
# zsh completion of mintkeep
_mintkeep() {
    local cmd= word
    local -a choices
    for word in "${(@)words[2,CURRENT-1]}"; do
        case "${cmd:+$cmd }$word" in
            %s) cmd="${cmd:+$cmd }$word" ;;
        esac
    done
    case "$cmd" in
`, cases(all))
	for _, c := range all {
		fmt.Fprintf(&b, "        %q) choices=(", c.path)
		for _, w := range c.words {
			choice := strings.ReplaceAll(w.word, ":", `\:`)
			if w.help != "" {
				choice += ":" + firstSentence(w.help)
			}
			fmt.Fprintf(&b, "\n            %s", quoted(choice, `'\''`))
		}
		b.WriteString(") ;;\n")
	}
	b.WriteString(`    esac
    _describe -o 'mintkeep' choices || _files
}
if [ "$funcstack[1]" = "_mintkeep" ]; then
    _mintkeep "$@"
else
    compdef _mintkeep mintkeep
fi
`)
	return b.String()
}

func fishScript(all []completed) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# fish completion of mintkeep
function __mintkeep_command
    set -l cmd ''
    for word in (commandline -opc)[2..-1]
        switch (string trim -- "$cmd $word")
            case %s
                set cmd (string trim -- "$cmd $word")
        end
    end
    echo $cmd
end
`, strings.ReplaceAll(cases(all), "|", " "))
	for _, c := range all {
		for _, w := range c.words {
			flag, isFlag := strings.CutPrefix(w.word, "--")
			fmt.Fprintf(&b, "complete -c mintkeep -n 'test (__mintkeep_command) = \"%s\"'", c.path)
			if isFlag {
				fmt.Fprintf(&b, " -l %s", flag)
			} else {
				fmt.Fprintf(&b, " -f -a %s", w.word)
			}
			if w.help != "" {
				fmt.Fprintf(&b, " -d %s", quoted(strings.ReplaceAll(firstSentence(w.help), `\`, `\\`), `\'`))
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}
