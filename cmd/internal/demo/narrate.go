package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

var coloured = term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == ""

func title(text string) { fmt.Printf("\n%s\n", bold("== "+text)) }

func say(lines ...string) { fmt.Printf("\n%s\n", strings.Join(lines, "\n")) }

func bold(s string) string { return style("1", s) }

func dim(s string) string { return style("2", s) }

func style(code, s string) string {
	if !coloured {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}
