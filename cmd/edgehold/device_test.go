package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/sdf/mqtt"
)

// TestDeviceStreams prints what devices tell until it is interrupted, in each format.
func TestDeviceStreams(t *testing.T) {
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	gateway, broker, _, stop, err := startThings(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	newcomer := gateway.announcement("sensor-1")
	newcomer.Thing = "sensor-2"
	for _, c := range []struct{ args, want string }{
		{"device watch sensor-1", "Temperature/0/Sensor_Value   24      -"},
		{"device watch sensor-1 -o json", `"value":24}`},
		{"device list --watch -o name", "sensor-2\n"},
		{"device list --watch", "sensor-2 is gone"},
	} {
		t.Run(c.args, func(t *testing.T) {
			watching, interrupt := context.WithTimeout(t.Context(), 10*time.Second)
			defer interrupt()
			out := &sought{want: c.want, found: interrupt}
			go func() { // until it is seen: nobody knows when the command listens
				for watching.Err() == nil {
					_ = gateway.tell(24)
					_ = mqtt.Announce(watching, gateway.bus, newcomer)
					newcomer.Epoch++
					_ = mqtt.Unregister(watching, gateway.bus, &mqtt.Farewell{Thing: "sensor-2", Reason: "deregistered", Time: then})
					time.Sleep(5 * time.Millisecond)
				}
			}()
			code := Main(watching, append(strings.Fields(c.args), "--broker", broker), nil, out, out, func(string) string { return "" })
			if code != exitInterrupted && code != exitOK || !strings.Contains(out.text.String(), c.want) {
				t.Errorf("exit code %d:\n%s", code, &out.text)
			}
		})
	}
}

func TestDeviceCompletions(t *testing.T) {
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	_, broker, _, stop, err := startThings(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, c := range []struct{ args, want string }{
		{"device read ''", "actuator-1 sensor-1"},
		{"device read sensor-1 Temperature/0/Sensor_V", "Temperature/0/Sensor_Value"},
		{"device write sensor-1 Device/0/Time", "Device/0/Timezone="},
		{"device execute sensor-1 Device/0/Re", "Device/0/Reboot Device/0/Reset_Error_Code"},
		{"device describe sensor-1 Data", "Data_Route"},
		{"device knobs sensor-1 get ''", "TX_PWR"},
		{"device knobs sensor-1 ''", "list options get set"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out strings.Builder
			args := append([]string{"__complete"}, strings.Fields(strings.ReplaceAll(c.args, "''", ""))...)
			if strings.HasSuffix(c.args, "''") {
				args = append(args, "")
			}
			Main(t.Context(), args, nil, &out, new(strings.Builder), func(name string) string {
				if name == "EDGEHOLD_BROKER" {
					return broker
				}
				return ""
			})
			last := args[len(args)-1]
			var got []string
			for line := range strings.Lines(out.String()) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				if word != "" && word[0] != ':' && strings.HasPrefix(word, last) {
					got = append(got, word)
				}
			}
			if text := strings.Join(got, " "); !strings.HasPrefix(text, c.want) {
				t.Errorf("%q, want %q\n%s", text, c.want, cmp.Diff(text, c.want))
			}
		})
	}
}
