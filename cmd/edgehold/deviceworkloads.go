package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Software Management, and the object that says what its packages use.
const (
	objectSoftware   = 9
	softwareName     = 0
	softwareVersion  = 1
	softwarePackage  = 2
	softwareInstall  = 4
	softwareRemove   = 6
	softwareState    = 7
	softwareResult   = 9
	softwareActivate = 10
	softwareStop     = 11
	softwareActive   = 12
	softwareReason   = 16

	objectMonitoring  = 35002
	monitoringPackage = 27210
	monitoringCPU     = 27211
	monitoringMemory  = 27212
	monitoringUptime  = 27213
	monitoringError   = 27214
	monitoringWhy     = 27215
)

// Values of Update State.
const (
	stateInitial   = 0
	stateDelivered = 3
	stateInstalled = 4
)

// workload is an instance of Software Management, with what is measured of it.
type workload struct {
	Label   uint16 `json:"label"`
	Name    string `json:"name"`
	Version string `json:"version"`
	State   string `json:"state"`
	Active  bool   `json:"active"`
	Result  string `json:"result"`
	Reason  string `json:"reason,omitempty"`
	*usageOf
}

// usageOf is what a workload uses.
type usageOf struct {
	CPUPercent  float64 `json:"cpuPercent"`
	MemoryBytes int64   `json:"memoryBytes"`
	UptimeMS    int64   `json:"uptimeMs"`
	Error       string  `json:"error,omitempty"`
	Decision    string  `json:"decision,omitempty"` // of a policy: the last one, and why
}

// measured shows one part of what a workload uses, if that is known.
func measured(show func(*usageOf) string) func(workload) string {
	return func(w workload) string {
		if w.usageOf == nil {
			return ""
		}
		return show(w.usageOf)
	}
}

var workloadTable = cli.Table[workload]{
	Name: func(w workload) string { return strconv.Itoa(int(w.Label)) },
	Columns: []cli.Column[workload]{
		{Title: "WORKLOAD", Right: true, Text: func(w workload) string { return strconv.Itoa(int(w.Label)) }},
		{Title: "NAME", Text: func(w workload) string { return w.Name }},
		{Title: "VERSION", Text: func(w workload) string { return w.Version }},
		{Title: "STATE", Text: func(w workload) string { return w.State }},
		{Title: "ACTIVE", Status: true, Text: func(w workload) string { return yesNo(w.Active) }},
		{Title: "CPU", Right: true, Text: measured(func(u *usageOf) string { return strconv.FormatFloat(u.CPUPercent, 'f', 1, 64) + " %" })},
		{Title: "MEMORY", Right: true, Text: measured(func(u *usageOf) string { return api.FormatBytes(u.MemoryBytes) })},
		{Title: "UPTIME", Right: true, Text: measured(func(u *usageOf) string { return uptime(u.UptimeMS) })},
		{Title: "ERROR", Text: measured(func(u *usageOf) string { return u.Error })},
		{Title: "DECISION", Wide: true, Text: measured(func(u *usageOf) string { return u.Decision })},
		{Title: "RESULT", Wide: true, Text: func(w workload) string { return w.Result }},
		{Title: "REASON", Wide: true, Text: func(w workload) string { return w.Reason }},
	},
}

func uptime(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d >= time.Minute {
		d = d.Round(time.Second)
	}
	return d.String()
}

func (d *devices) workloads() *cobra.Command {
	c := &cobra.Command{
		Use: "workloads DEVICE", Short: "Show what runs on a device, and what it uses", Aliases: []string{"workload"}, Args: args(1, 1, "the device's name"),
		Long:    "Joins the instances of LWM2M_Software_Management (object 9) with what Software_Package_Monitoring (object 35002) measures of each.",
		Example: "  edgehold device workloads sensor-1\n  edgehold device workloads sensor-1 -o wide", ValidArgsFunction: d.deviceNames,
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := f.workloads(ctx, m)
		if err != nil {
			return err
		}
		return cli.List(p, workloadTable, all, map[string]any{"items": all})
	})
	return c
}

// software is the object that workloads are instances of.
func (m *deviceModel) software() (*deviceObject, error) {
	o, err := m.find(strconv.Itoa(objectSoftware))
	if err != nil {
		return nil, failDevice(exitNotFound, "find the workloads of "+m.device, "device.no-workloads", "it has no Software Management (object 9)",
			"see what it has: edgehold device describe "+m.device)
	}
	return o, nil
}

func (f *fleet) workloads(ctx context.Context, m *deviceModel) ([]workload, error) {
	o, err := m.software()
	if err != nil {
		return nil, err
	}
	instances, err := f.instances(ctx, m, o)
	if err != nil {
		return nil, err
	}
	used, err := f.usage(ctx, m)
	if err != nil {
		return nil, err
	}
	all := make([]workload, 0, len(instances))
	for _, in := range instances {
		w := o.workload(in)
		w.usageOf = used[in.Label]
		all = append(all, w)
	}
	return all, nil
}

// workload reads one instance of Software Management.
func (o *deviceObject) workload(in mqtt.Instance) workload {
	w := workload{
		Label: in.Label, Name: o.text(in, softwareName), Version: o.text(in, softwareVersion), Reason: o.text(in, softwareReason),
		State: o.word(in, softwareState), Result: o.word(in, softwareResult),
	}
	active, _ := o.value(in, softwareActive)
	w.Active, _ = active.(bool)
	return w
}

// word is the name of a choice alone, or the value that has none.
func (o *deviceObject) word(in mqtt.Instance, number int) string {
	value, x := o.value(in, number)
	if x == nil {
		return ""
	}
	if name := x.Data.ChoiceOf(value); name != "" {
		return name
	}
	return showValue(x.Data, value)
}

// usage is what is measured, by the instance of Software Management that it is of. A device need not measure.
func (f *fleet) usage(ctx context.Context, m *deviceModel) (map[uint16]*usageOf, error) {
	o, err := m.find(strconv.Itoa(objectMonitoring))
	if err != nil {
		return nil, nil
	}
	instances, err := f.instances(ctx, m, o)
	used := map[uint16]*usageOf{}
	for _, in := range instances {
		value, _ := o.value(in, monitoringPackage)
		link, _ := value.(map[string]any)
		if link["object"] != int64(objectSoftware) {
			continue
		}
		u := &usageOf{Error: o.text(in, monitoringError), Decision: o.text(in, monitoringWhy)}
		cpu, _ := o.value(in, monitoringCPU)
		u.CPUPercent = asFloat(cpu)
		u.MemoryBytes, u.UptimeMS = o.integer(in, monitoringMemory), o.integer(in, monitoringUptime)
		used[uint16(number16(link["instance"]))] = u
	}
	return used, err
}

func asFloat(value any) float64 {
	switch v := value.(type) {
	case float64:
		return v
	case int64:
		return float64(v)
	}
	return 0
}

func (o *deviceObject) integer(in mqtt.Instance, number int) int64 {
	value, _ := o.value(in, number)
	return int64(asFloat(value))
}

// find returns the workload of a number or a name.
func findWorkload(device string, all []workload, name string) (*workload, error) {
	var found *workload
	for i := range all {
		w := &all[i]
		if strconv.Itoa(int(w.Label)) == name {
			return w, nil
		}
		if w.Name == name && found != nil {
			return nil, failDevice(exitUsage, "find workload "+name, "device.ambiguous", "two workloads have that name", "use the number: edgehold device workloads "+device)
		}
		if w.Name == name {
			found = w
		}
	}
	if found == nil {
		names := make([]string, len(all))
		for i, w := range all {
			names[i] = w.Name
		}
		return nil, failDevice(exitNotFound, "find workload "+name, "device.no-workload", device+" has no workload of that name or number"+similar(name, names),
			"run edgehold device workloads "+device)
	}
	return found, nil
}

func (d *devices) remove() *cobra.Command {
	c := &cobra.Command{
		Use: "remove DEVICE WORKLOAD", Short: "Take a workload off a device", Args: args(2, 2, "the device's name and the workload's name or number"),
		Long:    "Stops the workload if it runs, uninstalls it and deletes its instance of LWM2M_Software_Management.",
		Example: "  edgehold device remove sensor-1 moving-average\n  edgehold device remove sensor-1 1",
		ValidArgsFunction: func(c *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(given) != 1 {
				return d.deviceNames(c, given, toComplete)
			}
			return d.offer(func(ctx context.Context, f *fleet) ([]string, error) {
				m, err := f.model(ctx, given[0])
				if err != nil {
					return nil, err
				}
				return namesOf(f.workloads(ctx, m))(func(w workload) string { return strconv.Itoa(int(w.Label)) + "\t" + w.Name })
			}), cobra.ShellCompDirectiveNoFileComp
		},
	}
	c.RunE = d.asking(func(ctx context.Context, f *fleet, p *cli.Printer, args []string) error {
		m, err := f.model(ctx, args[0])
		if err != nil {
			return err
		}
		all, err := f.workloads(ctx, m)
		if err != nil {
			return err
		}
		w, err := findWorkload(args[0], all, args[1])
		if err != nil {
			return err
		}
		if err := f.removeWorkload(ctx, m, w.Label); err != nil {
			return err
		}
		what := strings.TrimSpace(fmt.Sprintf("workload %d %s", w.Label, w.Name))
		return p.Object(w, strconv.Itoa(int(w.Label)), func(d *cli.Details) { d.Text("%s is removed", what) })
	})
	return c
}

// removeWorkload deletes an instance, and what is in it before, if the device does not take that in one step.
func (f *fleet) removeWorkload(ctx context.Context, m *deviceModel, label uint16) error {
	o, err := m.software()
	if err != nil {
		return err
	}
	at := mqtt.Topic{Thing: m.device, Object: o.Name, Label: mqtt.At(label)}
	_, err = f.client.Do(ctx, mqtt.Request{Topic: at, Operation: mqtt.Delete})
	if err == nil {
		return nil
	}
	for _, number := range []int{softwareStop, softwareRemove} {
		step := at
		step.Affordance, step.Name = mqtt.Action, o.name(mqtt.Action, number)
		_, _ = f.client.Do(ctx, mqtt.Request{Topic: step, Operation: mqtt.Post}) // refused where there is nothing to stop or to uninstall
	}
	_, err = f.client.Do(ctx, mqtt.Request{Topic: at, Operation: mqtt.Delete})
	return err
}
