package model

import (
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m"
)

// ParseEnumeration finds names of values in a description: lines such as "41: Ethernet" or "1=Low battery power", or
// three and more of them in running text. What says "reserved" names nothing.
func ParseEnumeration(kind lwm2m.Kind, description string) []Choice {
	switch kind {
	case lwm2m.KindInteger, lwm2m.KindUnsigned, lwm2m.KindBoolean:
	default:
		return nil
	}
	var choices []Choice
	for line := range strings.Lines(description) {
		value, name, ok := parseChoice(strings.TrimSpace(line))
		if ok && !inOrder(choices, value) {
			return nil // numbers that mean something else
		}
		if ok && name != "" {
			choices = append(choices, Choice{value, name})
		}
	}
	if len(choices) < 2 {
		choices = parseRunningText(description)
	}
	if len(choices) < 2 || kind == lwm2m.KindBoolean && choices[len(choices)-1].Value > 1 || !distinct(choices) {
		return nil
	}
	return choices
}

func inOrder(choices []Choice, value int64) bool {
	return len(choices) == 0 || choices[len(choices)-1].Value < value
}

func distinct(choices []Choice) bool {
	seen := make(map[string]bool, len(choices))
	for _, c := range choices {
		if seen[c.Name] {
			return false
		}
		seen[c.Name] = true
	}
	return true
}

// parseChoice reads "41: Ethernet". The name is "" if the value is reserved.
func parseChoice(s string) (value int64, name string, ok bool) {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	value, err := strconv.ParseInt(s[:n], 10, 32)
	rest := strings.TrimLeft(s[n:], " \t")
	if err != nil || rest == "" || rest[0] != ':' && rest[0] != '=' {
		return 0, "", false
	}
	name = shortName(rest[1:])
	if name == "" {
		return 0, "", false
	}
	if strings.Contains(strings.ToLower(name), "reserved") {
		return value, "", true
	}
	return value, name, true
}

// maxName is the length in bytes above which a remark in brackets is not part of a name.
const maxName = 40

// shortName cuts explanations: "Idle (before downloading or after successful updating)" is "Idle".
func shortName(s string) string {
	s = strings.TrimSpace(s)
	if sentence, _, more := strings.Cut(s, ". "); more {
		s = sentence
	}
	s = strings.TrimRight(s, " .,;")
	if open := strings.Index(s, " ("); open > 0 && (len(s) > maxName || strings.HasSuffix(s, ")")) {
		s = s[:open]
	}
	return s
}

// parseRunningText reads "0: generic 1: system 2: security" where the numbers count up by one.
func parseRunningText(s string) []Choice {
	var choices []Choice
	for {
		start := nextMark(s, len(choices))
		if start < 0 {
			break
		}
		s = s[start:]
		end := nextMark(s[1:], len(choices)+1)
		item := s
		if end >= 0 {
			item = s[:end+1]
		} else if bracket := strings.Index(item, " ["); bracket > 0 {
			item = item[:bracket]
		}
		value, name, ok := parseChoice(strings.TrimSpace(item))
		if !ok || name == "" || len(name) > maxName {
			break
		}
		choices = append(choices, Choice{value, name})
		s = s[1:]
	}
	if len(choices) < 3 {
		return nil
	}
	return choices
}

// nextMark finds "n:" or "n=" that stands apart.
func nextMark(s string, n int) int {
	number := strconv.Itoa(n)
	for at := 0; ; {
		i := strings.Index(s[at:], number)
		if i < 0 {
			return -1
		}
		at += i
		after := strings.TrimLeft(s[at+len(number):], " ")
		if (at == 0 || s[at-1] == ' ' || s[at-1] == '\t' || s[at-1] == '\n') && after != "" && (after[0] == ':' || after[0] == '=') {
			return at
		}
		at += len(number)
	}
}
