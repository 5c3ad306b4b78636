package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// The shell of D3.3, section 6.3.1.2: a command is written to one item of a byte container's data, and its answer is read from the next.
const (
	objectContainer  = 19
	containerData    = "0" // number of the property Data
	shellCommand     = 0
	shellAnswer      = 1
	shellPrefix      = "mlsysops knobs "
	maxKnobNameBytes = 64
)

// deviceKnob is a knob of a device and what it is set to, or what it may be set to.
type deviceKnob struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"`
	Values  string `json:"values,omitempty"`
	Default string `json:"default,omitempty"`
	Unit    string `json:"unit,omitempty"`
}

var deviceKnobTable = cli.Table[deviceKnob]{
	Name: func(k deviceKnob) string { return k.Name },
	Columns: []cli.Column[deviceKnob]{
		{Title: "KNOB", Text: func(k deviceKnob) string { return k.Name }},
		{Title: "VALUE", Text: func(k deviceKnob) string { return k.Value }},
	},
}

var deviceOptionTable = cli.Table[deviceKnob]{
	Name: func(k deviceKnob) string { return k.Name },
	Columns: []cli.Column[deviceKnob]{
		{Title: "KNOB", Text: func(k deviceKnob) string { return k.Name }},
		{Title: "VALUES", Text: func(k deviceKnob) string { return k.Values }},
		{Title: "DEFAULT", Text: func(k deviceKnob) string { return k.Default }},
		{Title: "UNIT", Text: func(k deviceKnob) string { return k.Unit }},
	},
}

func (d *devices) knobs() *cobra.Command {
	c := &cobra.Command{
		Use: "knobs DEVICE [list | options | get KNOB | set KNOB VALUE [LEASE]]", Short: "Look at a device's knobs and turn them", Aliases: []string{"knob"}, Args: args(1, 5, "the device's name"),
		Long: "Speaks to the knob shell of the device: commands such as \"" + shellPrefix + "list\" are written to /19/0/0/0, answers read at /19/0/0/1. set prints what the knob is set to\n" +
			"afterwards; under a lease the device sets it back when that ends. A policy or a lease does the same by way of the mechanism DeviceKnobs of a node that is a device's proxy.",
		Example:           "  edgehold device knobs sensor-1\n  edgehold device knobs sensor-1 get TX_PWR\n  edgehold device knobs sensor-1 set TX_PWR LOW 10m",
		ValidArgsFunction: d.knobWords,
	}
	instance := c.Flags().Uint16("instance", 0, "instance of the byte container (object 19)")
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		command, err := knobCommand(c, args[1:])
		if err != nil {
			return err
		}
		shell, err := f.shell(ctx, args[0], *instance)
		if err != nil {
			return err
		}
		all, err := shell.knobs(ctx, command)
		if err != nil {
			return err
		}
		table := deviceKnobTable
		if command[0] == "options" {
			table = deviceOptionTable
		}
		return cli.List(p, table, all, map[string]any{"items": all})
	})
	return c
}

// knobCommand makes the shell's words of a person's.
func knobCommand(c *cobra.Command, words []string) ([]string, error) {
	if len(words) == 0 {
		words = []string{"list"}
	}
	needs := map[string][2]int{"list": {1, 1}, "options": {1, 1}, "get": {2, 2}, "set": {3, 4}}
	if n, known := needs[words[0]]; !known || len(words) < n[0] || len(words) > n[1] {
		return nil, usage(c, "speak to the knobs", "it is not list, options, get KNOB or set KNOB VALUE [LEASE]")
	}
	for _, word := range words[1:] {
		if word == "" || len(word) > maxKnobNameBytes || strings.ContainsAny(word, " \t\r\n|") {
			return nil, usage(c, "speak to the knobs", fmt.Sprintf("%q is not one word", word))
		}
	}
	return words, nil
}

func (d *devices) knobWords(c *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	switch len(given) {
	case 0:
		return d.deviceNames(c, given, toComplete)
	case 1:
		return []string{"list", "options", "get", "set"}, cobra.ShellCompDirectiveNoFileComp
	case 2:
		return d.offer(func(ctx context.Context, f *fleet) ([]string, error) {
			shell, err := f.shell(ctx, given[0], 0)
			if err != nil {
				return nil, err
			}
			return namesOf(shell.knobs(ctx, []string{"list"}))(func(k deviceKnob) string { return k.Name + "\t" + k.Value })
		}), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// knobShell is the shell of one device.
type knobShell struct {
	fleet  *fleet
	topic  mqtt.Topic // of the data, without item
	device string
}

func (f *fleet) shell(ctx context.Context, device string, instance uint16) (*knobShell, error) {
	m, err := f.model(ctx, device)
	if err != nil {
		return nil, err
	}
	t, err := m.target(fmt.Sprintf("%d/%d/%s", objectContainer, instance, containerData), mqtt.Property)
	if err != nil {
		return nil, failDevice(exitNotFound, "find the knobs of "+device, "device.no-knobs", "it has no BinaryAppDataContainer, which the knob shell speaks through",
			"see what it has: edgehold device describe "+device)
	}
	return &knobShell{f, t.Topic, device}, nil
}

// knobs says a command and reads what knobs the answer has. After set it asks what the knob is.
func (s *knobShell) knobs(ctx context.Context, words []string) ([]deviceKnob, error) {
	answer, err := s.ask(ctx, words)
	if err != nil {
		return nil, err
	}
	if words[0] == "set" {
		if why := refusal(answer); why != "" {
			return nil, s.refused(words, why)
		}
		if answer, err = s.ask(ctx, []string{"get", words[1]}); err != nil {
			return nil, err
		}
	}
	all := parseKnobs(answer)
	if why := refusal(answer); why != "" && len(all) == 0 {
		return nil, s.refused(words, why)
	}
	if (words[0] == "get" || words[0] == "set") && (len(all) != 1 || !strings.EqualFold(all[0].Name, words[1])) {
		return nil, s.refused(words, answer)
	}
	return all, nil
}

func (s *knobShell) refused(words []string, why string) error {
	return failDevice(exitFailed, strings.Join(words, " ")+" on "+s.device, "device.knob-refused", "the device says: "+why, "see edgehold device knobs "+s.device)
}

// ask says a command that is a question again if what comes is the answer to another: a node that is the device's proxy speaks to the same shell.
func (s *knobShell) ask(ctx context.Context, words []string) (answer string, err error) {
	for range 3 {
		if answer, err = s.say(ctx, words); err != nil || words[0] == "set" || refusal(answer) != "" || answers(words, answer) {
			break
		}
	}
	return answer, err
}

// say writes a command and reads the answer, which a device may take a moment for: until it is no longer what it was, or the device says that it has none.
func (s *knobShell) say(ctx context.Context, words []string) (string, error) {
	at := s.topic
	at.Element = mqtt.At(shellCommand)
	before, _ := s.answer(ctx)
	if _, err := s.fleet.client.Do(ctx, mqtt.Request{Topic: at, Operation: mqtt.Post, Data: []byte(shellPrefix + strings.Join(words, " "))}); err != nil {
		return "", err
	}
	wait := 50 * time.Millisecond
	for range 5 {
		answer, err := s.answer(ctx)
		if err == nil && (answer != before || answers(words, answer)) {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return "", context.Cause(ctx)
		case <-time.After(wait):
			wait *= 2
		}
		if err != nil && wait > 400*time.Millisecond {
			return "", err
		}
	}
	return s.answer(ctx)
}

// answers reports whether an answer can be that to a command, even if it is the same as the one before.
func answers(words []string, answer string) bool {
	all := parseKnobs(answer)
	switch words[0] {
	case "list":
		return strings.Contains(answer, "Knob ID") && !slices.ContainsFunc(all, func(k deviceKnob) bool { return k.Values != "" })
	case "options":
		return strings.Contains(answer, "Knob ID") && !slices.ContainsFunc(all, func(k deviceKnob) bool { return k.Values == "" })
	case "get":
		return len(all) == 1 && strings.EqualFold(all[0].Name, words[1]) && !strings.Contains(answer, "Knob ID")
	}
	return false
}

func (s *knobShell) answer(ctx context.Context) (string, error) {
	at := s.topic
	at.Element = mqtt.At(shellAnswer)
	response, err := s.fleet.client.Do(ctx, mqtt.Request{Topic: at, Operation: mqtt.Get})
	if err != nil {
		return "", err
	}
	value, _ := response.Objects.Property(at)
	data, _ := value.([]byte)
	return string(data), nil
}

// parseKnobs reads lines such as "TX_PWR | LOW", and those of options, which have four cells or more; titles and rules are left out.
func parseKnobs(answer string) []deviceKnob {
	all := []deviceKnob{}
	for line := range strings.Lines(answer) {
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case cells[0] == "" || cells[0] == "Knob ID":
		case len(cells) == 2:
			all = append(all, deviceKnob{Name: cells[0], Value: cells[1]})
		case len(cells) >= 4: // a device may tell more, such as the longest lease
			all = append(all, deviceKnob{Name: cells[0], Values: cells[1], Default: cells[2], Unit: cells[3]})
		}
	}
	return all
}

// refusal is what a shell says that did not do as it was told, or "".
func refusal(answer string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(answer), "\n")
	lower := strings.ToLower(line)
	for _, word := range []string{"error", "unknown", "invalid", "refused", "not "} {
		if strings.Contains(lower, word) {
			return strings.TrimPrefix(line, "error: ")
		}
	}
	return ""
}
