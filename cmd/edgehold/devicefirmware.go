package main

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/sdf/mqtt"
)

// Firmware Update (object 5) and its resources.
const (
	objectFirmware  = 5
	firmwarePackage = 0
	firmwareUpdate  = 2
	firmwareState   = 3
	firmwareResult  = 5
	firmwareName    = 6
	firmwareVersion = 7
)

// Values of its State and Update Result.
const (
	firmwareIdle       = 0
	firmwareDownloaded = 2
	firmwareUpdating   = 3

	firmwareSuccess  = 1
	firmwareDeferred = 11
)

var firmwareStates = []string{"idle", "downloading", "downloaded", "updating"}

var firmwareResults = []string{"", "updated", "not enough storage", "not enough memory", "the connection was lost", "the image is damaged, or nobody that the device trusts has signed it",
	"the image is for other devices, or older than what has run", "the address is none", "the update failed", "the device does not speak that protocol", "cancelled", "deferred"}

// firmware is what a device says of its own.
type firmware struct {
	Name    string `json:"name"` // of the last image, as the two below
	Version string `json:"version"`
	Result  string `json:"result"`
	State   string `json:"state"`

	state, result int
}

func (d *devices) firmware() *cobra.Command {
	var f registryFlags
	c := &cobra.Command{
		Use: "firmware DEVICE [FILE]", Short: "Show how a device's firmware stands, or give it new one", Args: args(1, 2, "the device's name, and the file of an image or a parcel"),
		Long: "Sends the image behind the statement that vouches for it (object 5), waits until the device has checked it, has it updated, and waits for what came of it: the device may be away\n" +
			"meanwhile. A parcel has the statement; that of an image is found below --trust, where `edgehold trust firmware` put it.",
		Example:           "  edgehold device firmware sensor-1\n  edgehold device firmware sensor-1 board-2.0.0.img --trust trust/published",
		ValidArgsFunction: d.deviceThenFile,
	}
	f.add(c)
	o := pushOptions{}
	flags := c.Flags()
	flags.StringVar(&o.trust, "trust", "", "`folder` that edgehold trust publishes, with the statement about the image")
	flags.BoolVar(&o.raw, "raw", false, "send the file as it is")
	downloadOnly := flags.Bool("download-only", false, "have the device keep the image, and not update")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("timeout") {
			d.timeout = defaultPushTimeout
		}
		return d.asking(func(ctx context.Context, fleet *fleet, p *cli.Printer, args []string) error {
			var image []byte
			if len(args) == 2 {
				var err error
				if image, err = d.parcel(ctx, &f, args[1], o); err != nil {
					return err
				}
			}
			u, err := newUpgrade(ctx, fleet, args[0], cli.NewProgress(d.err))
			if err != nil {
				return err
			}
			defer u.progress.Done()
			now, err := u.run(ctx, image, *downloadOnly)
			if err != nil {
				return err
			}
			u.progress.Done()
			return p.Object(now, u.device, func(out *cli.Details) {
				out.Text("%s: %s", u.device, now)
			})
		})(c, args)
	}
	return c
}

// String says how it stands, for people.
func (f *firmware) String() string {
	said := []string{}
	for _, word := range []string{strings.TrimSpace(f.Name + " " + f.Version), f.State, f.Result} {
		if word != "" {
			said = append(said, word)
		}
	}
	return strings.Join(said, ", ")
}

// upgrade is new firmware on its way.
type upgrade struct {
	fleet    *fleet
	device   string
	object   *deviceObject
	at       mqtt.Topic
	progress *cli.Progress
}

func newUpgrade(ctx context.Context, f *fleet, device string, progress *cli.Progress) (*upgrade, error) {
	m, err := f.model(ctx, device)
	if err != nil {
		return nil, err
	}
	o, err := m.find(strconv.Itoa(objectFirmware))
	if err != nil {
		return nil, failDevice(exitNotFound, "find the firmware of "+device, "device.no-firmware", "it has no Firmware Update (object 5)",
			"give it a program that applies images, firmware_command, or see what it has: edgehold device describe "+device)
	}
	return &upgrade{f, device, o, mqtt.Topic{Thing: device, Object: o.Name, Label: mqtt.At(0)}, progress}, nil
}

// run sends an image, if there is one, and has it updated.
func (u *upgrade) run(ctx context.Context, image []byte, downloadOnly bool) (*firmware, error) {
	now, err := u.status(ctx)
	if err != nil || image == nil {
		return now, err
	}
	if now.state == firmwareUpdating {
		return nil, u.failed("send firmware", "it is updating", "wait for it: edgehold device firmware "+u.device)
	}
	if now.state != firmwareIdle {
		if err := u.do(ctx, mqtt.Property, firmwarePackage, []byte{0}); err != nil { // forget what there is
			return nil, err
		}
	}
	u.progress.Step("send %s to %s", api.FormatBytes(int64(len(image))), u.device)
	if err := u.do(ctx, mqtt.Property, firmwarePackage, image); err != nil {
		return nil, err
	}
	now, err = u.await(ctx, "check the firmware", func(f *firmware) bool { return f.state >= firmwareDownloaded || f.result == firmwareSuccess })
	if err != nil || downloadOnly {
		return now, err
	}
	if now.state == firmwareDownloaded { // and not under way by itself
		u.progress.Step("update")
		if err := u.do(ctx, mqtt.Action, firmwareUpdate, nil); err != nil {
			return nil, err
		}
	}
	return u.await(ctx, "update the firmware", func(f *firmware) bool { return f.state == firmwareIdle && f.result == firmwareSuccess })
}

func (u *upgrade) do(ctx context.Context, kind mqtt.Affordance, number int, data any) error {
	at := u.at
	at.Affordance, at.Name = kind, u.object.name(kind, number)
	_, err := u.fleet.client.Do(ctx, mqtt.Request{Topic: at, Operation: mqtt.Post, Data: data})
	return err
}

// await asks how it stands until that is as wanted. A device that does not answer may be starting.
func (u *upgrade) await(ctx context.Context, step string, wanted func(*firmware) bool) (*firmware, error) {
	word := "no answer yet"
	for wait := 100 * time.Millisecond; ; wait = min(wait*2, 2*time.Second) {
		now, err := u.status(ctx)
		_, refused := errors.AsType[*mqtt.Error](err)
		switch {
		case err == nil && wanted(now):
			return now, nil
		case err == nil && now.over():
			return nil, u.failed(step, "the device says: "+now.Result, "see that the device trusts who signed it, and that it is not older than what has run")
		case err == nil:
			word = now.State
		case !refused:
			return nil, err
		}
		u.progress.Step("%s: %s", step, word)
		select {
		case <-ctx.Done():
			return nil, failDevice(exitUnreachable, step+" of "+u.device, "device.no-answer", "the last that is known: "+word, "allow more with --timeout")
		case <-time.After(wait):
		}
	}
}

// over says whether a device has given an image up, or put it off.
func (f *firmware) over() bool {
	return f.result > firmwareSuccess && (f.state == firmwareIdle || f.state == firmwareDownloaded && f.result == firmwareDeferred)
}

func (u *upgrade) failed(step, why, hint string) error {
	return failDevice(exitFailed, step+" of "+u.device, "device.firmware-refused", why, hint)
}

func (u *upgrade) status(ctx context.Context) (*firmware, error) {
	response, err := u.fleet.client.Do(ctx, mqtt.Request{Topic: u.at, Operation: mqtt.Get})
	if err != nil {
		return nil, err
	}
	for _, in := range response.Objects[u.object.Name] {
		f := &firmware{Name: u.object.text(in, firmwareName), Version: u.object.text(in, firmwareVersion),
			state: int(u.object.integer(in, firmwareState)), result: int(u.object.integer(in, firmwareResult))}
		f.State, f.Result = wordAt(firmwareStates, f.state), wordAt(firmwareResults, f.result)
		return f, nil
	}
	return nil, u.failed("read the firmware", "it has no instance", "see edgehold device describe "+u.device)
}

// wordAt is what a number means, or the number.
func wordAt(words []string, n int) string {
	if n >= 0 && n < len(words) {
		return words[n]
	}
	return strconv.Itoa(n)
}

func (d *devices) deviceThenFile(c *cobra.Command, given []string, toComplete string) ([]string, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return d.deviceNames(c, given, toComplete)
	}
	return nil, cobra.ShellCompDirectiveDefault
}
