package main

import (
	"fmt"
	"os"
	"path"

	"github.com/spf13/cobra"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/cmd/internal/cli"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/sign"
)

func (a *app) trustFirmware() *cobra.Command {
	c := &cobra.Command{
		Use: "firmware NAME@VERSION FILE", Short: "Vouch for the firmware of devices", Args: args(2, 2, "NAME@VERSION and the file of the image"),
		Long: "The image is listed beside the modules, signed by the same key, and goes to devices as a parcel: `edgehold device firmware` finds it by its list, `edgehold trust parcel` writes it.\n" +
			"A device that ran a version takes none that was vouched for before it. An image has at most " + api.FormatBytes(parcel.MaxModule) + ": a larger update is an image that fetches the rest.",
		Example: "  edgehold trust firmware board@2.0.0 board-2.0.0.img --devices 'sensor-*' --folder trust",
	}
	devices := c.Flags().String("devices", "*", "pattern of the devices that it is for")
	return a.onFolder(c, func(r *sign.Repository, _ *cli.Printer, args []string) error {
		named, err := editions(c, args[:1])
		if err != nil {
			return err
		}
		if _, err := path.Match(*devices, ""); err != nil || *devices == "" {
			return usage(c, "vouch for "+args[0], fmt.Sprintf("--devices %q is no pattern", *devices))
		}
		image, err := readImage(args[1])
		if err != nil {
			return err
		}
		t, err := r.Add(sign.Module{Name: named[0].Name, Version: named[0].Version, Kind: parcel.KindFirmware, Devices: *devices, Bytes: image})
		if err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s@%s is vouched for: %s, %s\n", t.Name, t.Version, t.Digest, api.FormatBytes(t.Length))
		return nil
	})
}

// readImage reads the file of an image, if it is not too long for a parcel.
func readImage(file string) ([]byte, error) {
	what := "vouch for " + file
	info, err := os.Stat(file)
	if err != nil {
		return nil, &sign.Error{Code: "firmware.unreadable", What: what, Why: err.Error(), Hint: "name the file of an image", Err: err}
	}
	if info.Size() < 1 || info.Size() > parcel.MaxModule {
		return nil, &sign.Error{Code: sign.CodeTooLarge, What: what, Why: fmt.Sprintf("it has %d bytes: an image has 1 to %d", info.Size(), parcel.MaxModule), Hint: "make it smaller, or have a small one fetch the rest"}
	}
	return os.ReadFile(file)
}
