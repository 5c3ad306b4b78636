package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	readme = "README.md"
	marker = "<!-- What follows is written by go test ./cmd/edgehold -run Readme -update -->\n"
)

// commands returns every command that a person can give, parents first.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, child := range c.Commands() {
		if !child.Hidden && child.Name() != "help" && child.Name() != "completion" {
			all = append(all, commands(child)...)
		}
	}
	return all
}

func TestReadmeListsEveryCommand(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := strings.Cut(string(text), marker)
	if !found {
		t.Fatalf("%s lacks the line %q", readme, marker)
	}
	want := head + marker + reference()
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), want); diff != "" {
		t.Errorf("%s is stale, run go test ./cmd/edgehold -run Readme -update (-committed +now):\n%s", readme, diff)
	}
}

func reference() string {
	var out strings.Builder
	for _, c := range commands(new(app).root()) {
		out.WriteString("\n### " + c.CommandPath() + "\n\n" + c.Short + ".\n")
		if c.Long != "" && c.HasParent() {
			out.WriteString("\n" + c.Long + "\n")
		}
		out.WriteString("\n```\n" + c.UseLine() + "\n")
		if flags := c.NonInheritedFlags(); c.HasParent() && flags.HasAvailableFlags() {
			out.WriteString("\n" + flags.FlagUsages())
		}
		out.WriteString("```\n")
		if c.Runnable() && c.Example != "" {
			out.WriteString("\n```sh\n" + regexp.MustCompile(`(?m)^  `).ReplaceAllString(c.Example, "") + "\n```\n")
		}
	}
	return out.String()
}

// TestEveryCommandIsDescribed holds each command to the same rules.
func TestEveryCommandIsDescribed(t *testing.T) {
	for _, c := range commands(new(app).root()) {
		t.Run(c.CommandPath(), func(t *testing.T) {
			if c.Short == "" || strings.HasSuffix(c.Short, ".") {
				t.Errorf("short help %q", c.Short)
			}
			if !strings.Contains(c.Example, "  edgehold") {
				t.Errorf("no example: %q", c.Example)
			}
		})
	}
}

// TestEveryExampleParses finds the command of each example line, its flags included.
func TestEveryExampleParses(t *testing.T) {
	word := regexp.MustCompile(`'[^']*'|\S+`)
	for _, c := range commands(new(app).root()) {
		for line := range strings.Lines(c.Example) {
			line, _, _ = strings.Cut(line, " > ")
			words := word.FindAllString(strings.TrimSpace(line), -1)
			for i, w := range words {
				words[i] = strings.Trim(w, "'")
			}
			found, rest, err := new(app).root().Find(words[1:])
			if err != nil || found.HasSubCommands() {
				t.Errorf("%s: %q names no command: %v", c.CommandPath(), line, err)
				continue
			}
			if err := found.ParseFlags(rest); err != nil {
				t.Errorf("%q: %v", line, err)
			} else if err := found.ValidateArgs(found.Flags().Args()); err != nil {
				t.Errorf("%q: %v", line, err)
			}
		}
	}
}

// TestNoFlagShadowsAGlobalOne looks for flags of commands that take the name of one that every command has.
func TestNoFlagShadowsAGlobalOne(t *testing.T) {
	root := new(app).root()
	for _, c := range commands(root) {
		if !c.HasParent() {
			continue
		}
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			global := root.PersistentFlags()
			if global.Lookup(f.Name) != nil || f.Shorthand != "" && global.ShorthandLookup(f.Shorthand) != nil {
				t.Errorf("%s: --%s is a flag of all commands", c.CommandPath(), f.Name)
			}
		})
	}
}
