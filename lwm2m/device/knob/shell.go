package knob

import (
	"fmt"
	"strings"
	"time"
)

const usage = "write mlsysops knobs list, options, leases, get KNOB, set KNOB VALUE [LEASE [HOLDER]], or renew KNOB VALUE LEASE [HOLDER]"

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
	case verb == "options" && len(rest) == 0:
		return p.options()
	case verb == "leases" && len(rest) == 0:
		return p.leases()
	case verb == "get" && len(rest) == 1:
		return p.answerGet(rest[0])
	case verb == "set" && len(rest) == 2:
		return p.answer(rest[0], p.Set(rest[0], rest[1]))
	case verb == "set" && (len(rest) == 3 || len(rest) == 4):
		return p.underLease(p.SetFor, rest)
	case verb == "renew" && (len(rest) == 3 || len(rest) == 4):
		return p.underLease(p.Renew, rest)
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
		fmt.Fprintf(&b, "%s | %s\n", p.knobs[i].Name, p.places[i].value)
	}
	return b.String()
}

func (p *Panel) options() string {
	var b strings.Builder
	b.WriteString("Knob ID | Values | Default | Unit | Lease\n" + rule)
	for i := range p.knobs {
		k := &p.knobs[i]
		fmt.Fprintf(&b, "%s | %s | %s | %s | %s\n", k.Name, k.Values(), k.Default, k.Unit, MaxLease)
	}
	return b.String()
}

func (p *Panel) leases() string {
	var b strings.Builder
	b.WriteString("Knob ID | Value | Lease | Holder\n" + rule)
	for _, h := range p.Held() {
		left := ""
		if h.Left > 0 {
			left = h.Left.String()
		}
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", h.Name, h.Value, left, h.Holder)
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

// underLease does something with words that are a knob, a value, a time and perhaps a holder.
func (p *Panel) underLease(do func(name, value string, l Lease) error, words []string) string {
	d, err := time.ParseDuration(words[2])
	if err != nil || d <= 0 {
		return fail(fmt.Sprintf("the lease %.20q is no time such as 30s", words[2]))
	}
	l := Lease{For: d}
	if len(words) > 3 {
		l.Holder = words[3]
	}
	return p.answer(words[0], do(words[0], words[1], l))
}

// answer says where a knob is, or why it could not be turned.
func (p *Panel) answer(name string, err error) string {
	if err != nil {
		return fail(err.Error())
	}
	return p.answerGet(name)
}
