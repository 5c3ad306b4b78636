package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// defaultPushTimeout is for the whole of a push: a package goes over the radio in blocks of 1 KiB or less.
const defaultPushTimeout = 15 * time.Minute

func (d *devices) push() *cobra.Command {
	var f registryFlags
	c := &cobra.Command{
		Use: "push DEVICE FILE|REFERENCE", Short: "Bring a workload to a device and start it", Args: args(2, 2, "the device's name, and a bundle, a parcel, a module or a reference"),
		Long: "Does the four steps of deliverable D3.3: creates an instance of LWM2M_Software_Management, sends the package, installs and activates it, and waits for each to be so.\n" +
			"What is sent is the module behind the statement that vouches for it: that comes in a bundle, from a registry, or is found below --trust, where `edgehold trust add` put it. If a step fails,\n" +
			"the reason is printed and the instance is deleted again, unless --keep is given. --raw sends a file as it is.",
		Example:           "  edgehold device push sensor-1 average.bundle\n  edgehold device push sensor-1 average.wasm --trust trust/published\n  edgehold device push sensor-1 average.bundle --replace",
		ValidArgsFunction: d.deviceThenFile,
	}
	f.add(c)
	o := pushOptions{}
	flags := c.Flags()
	flags.StringVar(&o.trust, "trust", "", "`folder` that edgehold trust publishes, with the statement about the module")
	flags.BoolVar(&o.raw, "raw", false, "send the file as it is")
	flags.IntVar(&o.label, "label", -1, "number of the instance; -1: the first that is free")
	flags.BoolVar(&o.replace, "replace", false, "once it runs, remove what ran under the same name")
	flags.BoolVar(&o.keep, "keep", false, "leave the instance on the device if a step fails")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("timeout") {
			d.timeout = defaultPushTimeout
		}
		return d.asking(func(ctx context.Context, fleet *fleet, p *cli.Printer, args []string) error {
			content, err := d.parcel(ctx, &f, args[1], o)
			if err != nil {
				return err
			}
			m, err := fleet.model(ctx, args[0])
			if err != nil {
				return err
			}
			return d.deliver(ctx, fleet, p, m, content, o)
		})(c, args)
	}
	return c
}

type pushOptions struct {
	trust              string
	raw, replace, keep bool
	label              int
}

// parcel returns what is sent of a file or a reference.
func (d *devices) parcel(ctx context.Context, f *registryFlags, argument string, o pushOptions) ([]byte, error) {
	x, err := d.artefact(ctx, f, argument)
	if err != nil || o.raw {
		return x.module, err
	}
	if _, _, err := parcel.Parse(x.module); err == nil {
		return x.module, nil
	}
	trust, err := imagesOf(ctx, x.metadata(o.trust))
	if err != nil {
		return nil, err
	}
	return sign.Parcel(x.module, trust)
}

// delivery is a push on its way.
type delivery struct {
	fleet    *fleet
	model    *deviceModel
	software *deviceObject
	at       mqtt.Topic // the instance
	progress *cli.Progress
}

// deliver does the four steps, and undoes them if one fails.
func (d *devices) deliver(ctx context.Context, f *fleet, p *cli.Printer, m *deviceModel, content []byte, o pushOptions) error {
	software, err := m.software()
	if err != nil {
		return err
	}
	before, err := f.workloads(ctx, m)
	if err != nil {
		return err
	}
	label, err := freeLabel(before, o.label)
	if err != nil {
		return err
	}
	run := &delivery{f, m, software, mqtt.Topic{Thing: m.device, Object: software.Name, Label: mqtt.At(label)}, cli.NewProgress(d.err)}
	defer run.progress.Done()
	if err := run.steps(ctx, content); err != nil {
		return run.undo(ctx, err, o.keep)
	}
	after, err := f.workloads(ctx, m)
	if err != nil {
		return err
	}
	w, err := findWorkload(m.device, after, strconv.Itoa(int(label)))
	if err != nil {
		return err
	}
	replaced := []uint16{}
	if o.replace {
		if replaced, err = run.replace(ctx, before, w); err != nil {
			return err
		}
	}
	run.progress.Done()
	return p.Object(pushed{*w, replaced}, strconv.Itoa(int(label)), func(out *cli.Details) {
		out.Text("workload %d runs on %s: %s, %s", label, m.device, strings.TrimSpace(w.Name+" "+w.Version), api.FormatBytes(int64(len(content))))
		for _, old := range replaced {
			out.Text("workload %d is removed", old)
		}
	})
}

// pushed is what JSON and YAML show of a push.
type pushed struct {
	workload
	Replaced []uint16 `json:"replaced"`
}

// freeLabel is the number asked for, or the first that nobody has.
func freeLabel(taken []workload, asked int) (uint16, error) {
	instances := make([]mqtt.Instance, len(taken))
	for i, w := range taken {
		instances[i].Label = w.Label
		if int(w.Label) == asked {
			return 0, failDevice(exitFailed, fmt.Sprintf("use number %d", asked), "device.label-taken", "another workload has it", "leave --label out")
		}
	}
	if asked >= 1<<16-1 {
		return 0, failDevice(exitUsage, fmt.Sprintf("use number %d", asked), "cli.usage", "numbers end at 65534", "leave --label out")
	}
	if asked >= 0 {
		return uint16(asked), nil
	}
	return firstFree(instances), nil
}

// steps are D3.3's, section 6.3.2.
func (r *delivery) steps(ctx context.Context, content []byte) error {
	n, _ := r.at.Label.Number()
	r.progress.Step("create workload %d on %s", n, r.model.device)
	if _, err := r.fleet.create(ctx, r.at, nil); err != nil {
		return err
	}
	r.progress.Step("send %s to %s", api.FormatBytes(int64(len(content))), r.model.device)
	if err := r.post(ctx, "deliver", mqtt.Property, softwarePackage, content); err != nil {
		return err
	}
	if err := r.await(ctx, "deliver", func(s softwareStatus) bool { return s.state == stateDelivered }); err != nil {
		return err
	}
	r.progress.Step("install it")
	if err := r.post(ctx, "install", mqtt.Action, softwareInstall, nil); err != nil {
		return err
	}
	if err := r.await(ctx, "install", func(s softwareStatus) bool { return s.state == stateInstalled }); err != nil {
		return err
	}
	r.progress.Step("start it")
	if err := r.post(ctx, "activate", mqtt.Action, softwareActivate, nil); err != nil {
		return err
	}
	return r.await(ctx, "activate", func(s softwareStatus) bool { return s.active })
}

// post does a step. A device that refuses it may say why in its state.
func (r *delivery) post(ctx context.Context, step string, kind mqtt.Affordance, number int, data any) error {
	at := r.at
	at.Affordance, at.Name = kind, r.software.name(kind, number)
	_, err := r.fleet.client.Do(ctx, mqtt.Request{Topic: at, Operation: mqtt.Post, Data: data})
	if _, refused := errors.AsType[*mqtt.Error](err); refused {
		if s, unread := r.status(ctx); unread == nil && s.result >= leastFailure {
			return r.refused(step, s)
		}
	}
	return err
}

// softwareStatus is where an instance of Software Management stands.
type softwareStatus struct {
	state, result int
	active        bool
	word, reason  string
}

// await asks for the state until it is as wanted: a level, so that a state which a device passed through is not waited for without end.
func (r *delivery) await(ctx context.Context, step string, wanted func(softwareStatus) bool) error {
	wait := 100 * time.Millisecond
	for {
		s, err := r.status(ctx)
		if err != nil {
			return err
		}
		if wanted(s) {
			return nil
		}
		if s.failed(step) {
			return r.refused(step, s)
		}
		r.progress.Step("%s: %s", step, s.word)
		select {
		case <-ctx.Done():
			return failDevice(exitUnreachable, step+" the workload on "+r.model.device, "device.no-answer", "it is still in state "+s.word, "allow more with --timeout")
		case <-time.After(wait):
			wait = min(wait*2, 2*time.Second)
		}
	}
}

// Results from 50 on are failures (object 9, resource 9). DELIVERED with another result than those is one on its way.
const (
	leastFailure       = 50
	resultInstallation = 58
)

func (s softwareStatus) failed(step string) bool {
	if step == "activate" {
		return s.state != stateInstalled || s.result >= leastFailure
	}
	return s.result >= leastFailure
}

func (r *delivery) refused(step string, s softwareStatus) error {
	why := "the device says: " + s.word
	if s.reason != "" {
		why += ": " + s.reason
	}
	hint := "see edgehold device workloads " + r.model.device + " -o wide"
	if s.result == 53 || s.result == 54 || s.result == resultInstallation {
		hint = "see that the device trusts who signed it, that it is not older than what ran before, and that it is a workload"
	}
	return failDevice(exitFailed, step+" the workload on "+r.model.device, "device.workload-refused", why, hint)
}

func (r *delivery) status(ctx context.Context) (softwareStatus, error) {
	response, err := r.fleet.client.Do(ctx, mqtt.Request{Topic: r.at, Operation: mqtt.Get})
	if err != nil {
		return softwareStatus{}, err
	}
	n, _ := r.at.Label.Number()
	for _, in := range response.Objects[r.software.Name] {
		if in.Label != n {
			continue
		}
		w := r.software.workload(in)
		s := softwareStatus{state: int(r.software.integer(in, softwareState)), result: int(r.software.integer(in, softwareResult)), active: w.Active, word: w.State, reason: w.Reason}
		if s.result >= leastFailure {
			s.word = w.Result
		}
		return s, nil
	}
	return softwareStatus{}, failDevice(exitFailed, "read "+pathOf(r.at), "device.gone", "the device no longer has the instance", "push it again")
}

// undo deletes what is half done, and says so if it can't. It has time of its own: the command's may be over.
func (r *delivery) undo(ctx context.Context, cause error, keep bool) error {
	n, _ := r.at.Label.Number()
	if keep {
		return cause
	}
	r.progress.Step("take workload %d off again", n)
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := r.fleet.removeWorkload(late, r.model, n)
	if e, ok := errors.AsType[*mqtt.Error](err); err == nil || ok && e.Status == mqtt.NotFound {
		return cause
	}
	return errors.Join(cause, fmt.Errorf("what is half done stays on %s as workload %d: %w", r.model.device, n, err))
}

// replace removes the others of the same name.
func (r *delivery) replace(ctx context.Context, before []workload, w *workload) (removed []uint16, err error) {
	for _, old := range before {
		if old.Name != w.Name || old.Label == w.Label {
			continue
		}
		r.progress.Step("remove workload %d", old.Label)
		if err := r.fleet.removeWorkload(ctx, r.model, old.Label); err != nil {
			return removed, fmt.Errorf("the new workload runs, the old one stays: %w", err)
		}
		removed = append(removed, old.Label)
	}
	return removed, nil
}
