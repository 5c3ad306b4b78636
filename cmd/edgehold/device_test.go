package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/sdf"
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
			watching, interrupt := context.WithTimeout(t.Context(), time.Minute)
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
		{"device knobs sensor-1 ''", "list options leases get set"},
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

// A node that is the device's proxy speaks to the same shell: its answers are not a person's.
func TestKnobsWhileOthersAsk(t *testing.T) {
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
	for args, want := range map[string]string{
		"device knobs sensor-1":             "KNOB TX_PWR HIGH",
		"device knobs sensor-1 get TX_PWR":  "TX_PWR HIGH",
		"device knobs sensor-1 options":     "LOW,MEDIUM,HIGH",
		"device knobs sensor-1 get NOTHING": "",
	} {
		gateway.mu.Lock()
		gateway.devices["sensor-1"].others = []string{"mlsysops knobs options", "mlsysops knobs get TX_PWR"}
		if strings.HasSuffix(args, "options") {
			gateway.devices["sensor-1"].others[0] = "mlsysops knobs list"
		}
		gateway.mu.Unlock()
		var out, errs strings.Builder
		Main(t.Context(), strings.Fields(args), nil, &out, &errs, func(name string) string {
			return map[string]string{"EDGEHOLD_BROKER": broker}[name]
		})
		for _, word := range strings.Fields(want) {
			if !strings.Contains(out.String(), word) {
				t.Errorf("%s: got %s%s", args, &out, &errs)
			}
		}
		if want == "" && !strings.Contains(errs.String(), "no such knob") {
			t.Errorf("%s: got %s%s", args, &out, &errs)
		}
	}
}

// TestDeviceListWithoutGateway: devices stay announced while their gateway is gone, and a person is told.
func TestDeviceListWithoutGateway(t *testing.T) {
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
	gone := &mqtt.Message{Topic: "gateway/far", Payload: []byte(`{"gateway":"far","online":false,"time":"2026-11-21T12:00:00Z"}`), ContentType: mqtt.TypeJSON, Retain: true}
	if err := gateway.bus.Publish(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	var out, errOut strings.Builder
	code := Main(t.Context(), []string{"device", "list", "-o", "name", "--broker", broker}, nil, &out, &errOut, func(string) string { return "" })
	if code != exitOK || out.String() != "actuator-1\nsensor-1\n" || errOut.String() != "far is not connected since 2026-11-21T12:00:00.000Z: its devices can't be asked\n" {
		t.Errorf("exit code %d\n%s%s", code, &out, &errOut)
	}
}

func TestShowValue(t *testing.T) {
	sparse := map[string]any{"10": int64(3), "2": "a"}
	for want, value := range map[string]any{
		"": nil, "21.3": float64(float32(21.3)), "0.1": 0.1, "true": true, "1, 2": []any{int64(1), int64(2)}, "2=a, 10=3": sparse, "9:1": map[string]any{"object": int64(9), "instance": int64(1)},
		"0x00ff": []byte{0, 0xff}, "text": []byte("text"), `"a\nb"`: []byte("a\nb"), "0x" + strings.Repeat("00", 32) + "... (40 bytes)": make([]byte, 40),
	} {
		if got := showValue(nil, value); got != want {
			t.Errorf("%v: %q, want %q", value, got, want)
		}
	}
}

func TestReadValue(t *testing.T) {
	file := t.TempDir() + "/value"
	if err := os.WriteFile(file, []byte("7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	integer := &sdf.Data{Type: sdf.TypeInteger}
	bytes := &sdf.Data{Type: sdf.TypeString, SDFType: sdf.ByteString}
	for _, c := range []struct {
		name, text string
		of         *sdf.Data
		want       any
	}{
		{"number", "12", integer, int64(12)},
		{"file", "@" + file, integer, int64(7)},
		{"file of bytes", "@" + file, bytes, []byte("7\n")},
		{"text of bytes", "mlsysops knobs list", bytes, []byte("mlsysops knobs list")},
		{"hexadecimal", "0x00fF", bytes, []byte{0, 0xff}},
		{"items", "1,2", &sdf.Data{Type: sdf.TypeArray, Items: integer}, []any{int64(1), int64(2)}},
		{"no items", "", &sdf.Data{Type: sdf.TypeArray, Items: integer}, []any{}},
		{"items as JSON", "[1,2]", &sdf.Data{Type: sdf.TypeArray, Items: integer}, []any{int64(1), int64(2)}},
		{"items by number", `{"3":"4"}`, &sdf.Data{Type: sdf.TypeArray, Items: integer}, map[string]any{"3": int64(4)}},
		{"nobody knows", "x", nil, "x"},
		{"odd digits", "0x0", bytes, nil},
		{"no digits", "0xzz", bytes, nil},
		{"no number", "x", integer, nil},
		{"an item that is none", "1,x", &sdf.Data{Type: sdf.TypeArray, Items: integer}, nil},
		{"no file", "@/nowhere", integer, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readValue(c.of, c.text)
			if diff := cmp.Diff(got, c.want); diff != "" && c.want != nil || (err != nil) != (c.want == nil) {
				t.Errorf("%v, %v (-got +want)\n%s", got, err, diff)
			}
		})
	}
}
