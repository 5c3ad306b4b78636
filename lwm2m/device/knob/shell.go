package knob

import (
	"fmt"
	"strings"
	"time"
)

const usage = "write mlsysops knobs list, get KNOB, set KNOB VALUE [LEASE], or options"

// Answer carries out one command.
func (p *Panel) Answer(command string) string {
	words := strings.Fields(command)
	if len(words) > 0 && words[0] == "help" || len(words) == 1 && words[0] == "mlsysops" {
		return usage + "\n"
	}
	if len(words) < 3 || words[0] != "mlsysops" || words[1] != "knobs" {
		return fail("that is no command: " + usage)
	}
	switch verb, rest := words[2], words[3:]; {
	case verb == "list" && len(rest) == 0:
		return p.list()
	case verb == "get" && len(rest) == 1:
		return p.answerGet(rest[0])
	case verb == "set" && (len(rest) == 2 || len(rest) == 3):
		return p.answerSet(rest[0], rest[1], rest[2:])
	case verb == "options" && len(rest) == 0:
		return p.options()
	}
	return fail("that is no command: " + usage)
}

const maxAnswer = 200

func fail(why string) string {
	if len(why) > maxAnswer {
		why = strings.ToValidUTF8(why[:maxAnswer], "")
	}
	return "error: " + why + "\n"
}

const rule = "-----\n"

func (p *Panel) list() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	b.WriteString("Knob ID | Value\n" + rule)
	for i := range p.knobs {
		fmt.Fprintf(&b, "%s | %s\n", p.knobs[i].Name, p.values[i])
	}
	return b.String()
}

func (p *Panel) options() string {
	var b strings.Builder
	b.WriteString("Knob ID | Values | Default | Unit\n" + rule)
	for i := range p.knobs {
		k := &p.knobs[i]
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", k.Name, k.Values(), k.Default, k.Unit)
	}
	return b.String()
}

func (p *Panel) answerGet(name string) string {
	v, err := p.Get(name)
	if err != nil {
		return fail(err.Error())
	}
	return name + " | " + v + "\n"
}

func (p *Panel) answerSet(name, value string, lease []string) string {
	var d time.Duration
	if len(lease) == 1 {
		var err error
		if d, err = time.ParseDuration(lease[0]); err != nil || d <= 0 {
			return fail(fmt.Sprintf("the lease %.20q is no time such as 30s", lease[0]))
		}
	}
	if err := p.SetFor(name, value, d); err != nil {
		return fail(err.Error())
	}
	return p.answerGet(name)
}
