package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
	"github.com/edgehold/edgehold/sdf/mqtt/shell"
)

// The byte container that the knob shell speaks through, by numbers.
const (
	objectContainer  = 19
	containerData    = "0" // number of the property Data
	maxKnobNameBytes = 64
)

// deviceKnob is a knob of a device and what it is set to, or what it may be set to.
type deviceKnob struct {
	Name    string `json:"name"`
	Value   string `json:"value,omitempty"`
	Values  string `json:"values,omitempty"`
	Default string `json:"default,omitempty"`
	Unit    string `json:"unit,omitempty"`
	Lease   string `json:"lease,omitempty"` // the longest that it takes, or what is left of the one that it is under
	Holder  string `json:"holder,omitempty"`
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

var deviceLeaseTable = cli.Table[deviceKnob]{
	Name: func(k deviceKnob) string { return k.Name },
	Columns: []cli.Column[deviceKnob]{
		{Title: "KNOB", Text: func(k deviceKnob) string { return k.Name }},
		{Title: "VALUE", Text: func(k deviceKnob) string { return k.Value }},
		{Title: "LEASE", Text: func(k deviceKnob) string { return k.Lease }},
		{Title: "HOLDER", Text: func(k deviceKnob) string { return k.Holder }},
	},
}

// tableOf is how the answer to a command is shown.
func tableOf(command string) cli.Table[deviceKnob] {
	switch command {
	case "options":
		return deviceOptionTable
	case "leases":
		return deviceLeaseTable
	}
	return deviceKnobTable
}

func (d *devices) knobs() *cobra.Command {
	c := &cobra.Command{
		Use: "knobs DEVICE [list | options | leases | get KNOB | set KNOB VALUE [LEASE]]", Short: "Look at a device's knobs and turn them", Aliases: []string{"knob"}, Args: args(1, 5, "the device's name"),
		Long: "Speaks to the knob shell of the device: commands such as \"" + shell.Prefix + "list\" are written to /19/0/0/0, answers read at /19/0/0/1. set prints what the knob is set to\n" +
			"afterwards; under a lease the device sets it back when that ends. A policy does the same by way of the mechanism DeviceKnobs of a node that is a device's proxy; leases shows which\n" +
			"node holds what. set without a lease overrules them all.",
		Example:           "  edgehold device knobs sensor-1\n  edgehold device knobs sensor-1 get TX_PWR\n  edgehold device knobs sensor-1 set TX_PWR LOW 10m",
		ValidArgsFunction: d.knobWords,
	}
	instance := c.Flags().Uint16("instance", 0, "instance of the byte container (object 19)")
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		command, err := knobCommand(c, args[1:])
		if err != nil {
			return err
		}
		s, err := f.shell(ctx, args[0], *instance)
		if err != nil {
			return err
		}
		all, err := s.knobs(ctx, command)
		if err != nil {
			return err
		}
		return cli.List(p, tableOf(command[0]), all, map[string]any{"items": all})
	})
	return c
}

// knobCommand makes the shell's words of a person's.
func knobCommand(c *cobra.Command, words []string) ([]string, error) {
	if len(words) == 0 {
		words = []string{"list"}
	}
	needs := map[string][2]int{"list": {1, 1}, "options": {1, 1}, "leases": {1, 1}, "get": {2, 2}, "set": {3, 4}}
	if n, known := needs[words[0]]; !known || len(words) < n[0] || len(words) > n[1] {
		return nil, usage(c, "speak to the knobs", "it is not list, options, leases, get KNOB or set KNOB VALUE [LEASE]")
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
		return []string{"list", "options", "leases", "get", "set"}, cobra.ShellCompDirectiveNoFileComp
	case 2:
		return d.offer(func(ctx context.Context, f *fleet) ([]string, error) {
			s, err := f.shell(ctx, given[0], 0)
			if err != nil {
				return nil, err
			}
			return namesOf(s.knobs(ctx, []string{"list"}))(func(k deviceKnob) string { return k.Name + "\t" + k.Value })
		}), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// knobShell is the shell of one device.
type knobShell struct {
	*shell.Shell
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
	return &knobShell{shell.New(f.client, t.Topic), device}, nil
}

// knobs has a command done, and returns what knobs its answer has. After set it asks what the knob is.
func (s *knobShell) knobs(ctx context.Context, words []string) ([]deviceKnob, error) {
	all, err := s.do(ctx, words)
	attempt := strings.Join(words, " ") + " on " + s.device
	if refusal, ok := errors.AsType[*shell.Refusal](err); ok {
		return nil, failDevice(exitFailed, attempt, "device.knob-refused", "the device says: "+refusal.Says, "see edgehold device knobs "+s.device)
	}
	if errors.Is(err, shell.ErrTalkedOver) {
		return nil, failDevice(exitFailed, attempt, "device.knobs-busy", "others speak to the same shell, and what came are their answers", "try again")
	}
	return all, err
}

func (s *knobShell) do(ctx context.Context, words []string) ([]deviceKnob, error) {
	switch words[0] {
	case "options":
		list, err := s.Options(ctx)
		return each(list, func(o shell.Option) deviceKnob {
			return deviceKnob{Name: o.Knob, Values: o.Values, Default: o.Default, Unit: o.Unit, Lease: spell(o.Lease)}
		}), err
	case "leases":
		list, err := s.Leases(ctx)
		return each(list, func(h shell.Held) deviceKnob {
			return deviceKnob{Name: h.Knob, Value: h.Value, Lease: spell(h.Left), Holder: h.Holder}
		}), err
	case "get":
		v, err := s.Get(ctx, words[1])
		return []deviceKnob{{Name: v.Knob, Value: v.Value}}, err
	case "set":
		lease, err := leaseOf(words[3:])
		if err == nil {
			err = s.Set(ctx, words[1], words[2], lease)
		}
		if err != nil {
			return nil, err
		}
		return s.do(ctx, []string{"get", words[1]})
	}
	list, err := s.List(ctx)
	return each(list, func(v shell.Value) deviceKnob { return deviceKnob{Name: v.Knob, Value: v.Value} }), err
}

func each[T any](list []T, f func(T) deviceKnob) []deviceKnob {
	all := make([]deviceKnob, len(list))
	for i, one := range list {
		all[i] = f(one)
	}
	return all
}

// spell writes a time, "" for none.
func spell(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// leaseOf reads the lease of set, if there is one.
func leaseOf(words []string) (shell.Lease, error) {
	if len(words) == 0 {
		return shell.Lease{}, nil
	}
	d, err := time.ParseDuration(words[0])
	if err != nil || d <= 0 {
		return shell.Lease{}, failDevice(exitUsage, "set a knob for "+words[0], "cli.usage", "it is no time", "write a lease such as 30s or 10m, or leave it out")
	}
	return shell.Lease{For: d}, nil
}
