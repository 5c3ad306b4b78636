package machine

import (
	"errors"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/client/clienttest"
)

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// board is a small machine with WLAN and a battery.
func board() fstest.MapFS {
	return fstest.MapFS{
		"proc/meminfo": file("MemTotal:         250000 kB\nMemFree:           10000 kB\nMemAvailable:     120000 kB\n"),
		"proc/net/wireless": file("Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n" +
			" face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n" +
			" wlan0: 0000   54.  -56.  -256        0      0      0      0      0        0\n"),
		"proc/net/route": file("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
			"wlan0\t0002A8C0\t00000000\t0001\t0\t0\t600\t00FFFFFF\t0\t0\t0\nwlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"),
		"sys/class/net/wlan0/wireless/x":              file(""),
		"sys/class/power_supply/AC/type":              file("Mains\n"),
		"sys/class/power_supply/BAT0/type":            file("Battery\n"),
		"sys/class/power_supply/BAT0/capacity":        file("8\n"),
		"sys/class/power_supply/BAT0/status":          file("Discharging\n"),
		"sys/class/power_supply/BAT0/voltage_now":     file("3700000\n"),
		"sys/class/power_supply/hidpp_battery_0/type": file("Battery\n"), "sys/class/power_supply/hidpp_battery_0/scope": file("Device\n"),
	}
}

// all reads an object's readable resources.
func all(t *testing.T, o client.Object) string {
	t.Helper()
	var tree lwm2m.Tree
	for _, r := range o.Definition().Resources {
		var err error
		if tree, err = o.Read(tree, lwm2m.PathOf(o.Definition().ID, 0, r.ID)); err != nil {
			t.Fatal(err)
		}
	}
	return tree.String()
}

func TestDevice(t *testing.T) {
	root := board()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := NewDevice(DeviceConfig{
		Identity: Identity{Manufacturer: "Acme", Serial: "7", Type: "edgehold-device"}, Root: root, Battery: PowerSupply{root},
		Now: func() time.Time { return at },
	})
	clienttest.Object(t, d)
	want := `/3/0/0 = "Acme", /3/0/2 = "7", /3/0/6/0 = 1, /3/0/7/0 = 3700, /3/0/9 = 8, /3/0/10 = 120000, /3/0/11/0 = 0, /3/0/13 = 2026-03-01T12:00:00Z, ` +
		`/3/0/14 = "+00:00", /3/0/15 = "UTC", /3/0/16 = "U", /3/0/17 = "edgehold-device", /3/0/20 = 3, /3/0/21 = 250000`
	if diff := cmp.Diff(all(t, d), want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}

func TestDeviceClock(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := NewDevice(DeviceConfig{Now: func() time.Time { return at }})
	p := lwm2m.PathOf(3, 0, deviceTime)
	if err := d.Write(p, lwm2m.Tree{{Path: p, Value: lwm2m.Time(at.Add(time.Hour))}}, client.Replace); err != nil {
		t.Fatal(err)
	}
	at = at.Add(time.Minute)
	if got, _ := d.Read(nil, p); !got[0].Value.Time().Equal(at.Add(time.Hour)) {
		t.Errorf("the clock is at %v", got)
	}
	for _, text := range []string{"tomorrow", "+1", ""} {
		p := lwm2m.PathOf(3, 0, deviceUTCOffset)
		if err := d.Write(p, lwm2m.Tree{{Path: p, Value: lwm2m.String(text)}}, client.Replace); !errors.Is(err, client.ErrBadRequest) {
			t.Errorf("UTC offset %q: %v", text, err)
		}
	}
}

func TestReboot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reboots atomic.Int32
		d := NewDevice(DeviceConfig{Reboot: func() { reboots.Add(1) }})
		p := lwm2m.PathOf(3, 0, deviceReboot)
		for range 2 {
			if err := d.Execute(p, ""); err != nil {
				t.Fatal(err)
			}
		}
		if reboots.Load() != 0 {
			t.Error("reboots before the answer is out")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := reboots.Load(); n != 1 {
			t.Errorf("%d reboots", n)
		}
		if err := NewDevice(DeviceConfig{}).Execute(p, ""); !errors.Is(err, client.ErrNotAllowed) {
			t.Errorf("without a hook: %v", err)
		}
	})
}

func TestErrorCodes(t *testing.T) {
	d := NewDevice(DeviceConfig{})
	var told []lwm2m.Path
	d.Announce(func(p lwm2m.Path) { told = append(told, p) })
	d.Raise(OutOfMemory)
	d.Raise(OutOfMemory)
	d.Raise(LowBattery)
	p := lwm2m.PathOf(3, 0, deviceErrors)
	if got, _ := d.Read(nil, p); got.String() != "/3/0/11/0 = 6, /3/0/11/1 = 1" || len(told) != 2 {
		t.Errorf("%s, told %v", got, told)
	}
	if err := d.Execute(lwm2m.PathOf(3, 0, deviceResetErrors), ""); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Read(nil, p); got.String() != "/3/0/11/0 = 0" {
		t.Errorf("after the reset %s", got)
	}
}

func TestConnectivity(t *testing.T) {
	simulated := &SimulatedRadio{}
	simulated.SetDistance(10)
	tests := []struct {
		name   string
		radio  Radio
		root   fstest.MapFS
		exempt []uint16
		want   string
	}{
		{"WLAN", Wireless{board()}, board(), nil, `/4/0/0 = 21, /4/0/1/0 = 21, /4/0/2 = -56, /4/0/3 = 54, /4/0/4/0 = "192.168.2.7", /4/0/5/0 = "192.168.2.1"`},
		{"no radio", Wireless{fstest.MapFS{}}, fstest.MapFS{}, []uint16{2}, `/4/0/0 = 41, /4/0/1/0 = 41, /4/0/4/0 = "192.168.2.7"`},
		{"simulated", simulated, fstest.MapFS{}, nil, `/4/0/0 = 23, /4/0/1/0 = 23, /4/0/2 = -70, /4/0/3 = 40, /4/0/4/0 = "192.168.2.7"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConnectivity(tt.root, tt.radio)
			c.addresses = func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("192.168.2.7")} }
			clienttest.Object(t, c, tt.exempt...)
			if runtime.GOARCH == "s390x" {
				t.Skip("the route table of the fixture is of a little-endian machine")
			}
			if diff := cmp.Diff(all(t, c), tt.want); diff != "" {
				t.Errorf("got -, want +:\n%s", diff)
			}
		})
	}
}

func TestSimulatedRadioFollowsItsPower(t *testing.T) {
	r := &SimulatedRadio{}
	r.SetDistance(20)
	told := 0
	NewConnectivity(fstest.MapFS{}, r).Announce(func(lwm2m.Path) { told++ })
	var signals []int
	for _, power := range []float64{-20, -10, 0} {
		r.SetTransmitPower(power)
		reading, err := r.Reading()
		if err != nil || !reading.Simulated {
			t.Fatal(reading, err)
		}
		signals = append(signals, reading.SignalDBm)
	}
	if diff := cmp.Diff(signals, []int{-99, -89, -79}); diff != "" || told != 6 {
		t.Errorf("%d times told; got -, want +:\n%s", told, diff)
	}
}

func TestStatistics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		traffic := &client.Traffic{}
		s := NewStatistics(traffic)
		clienttest.Object(t, s)
		pass := func(n uint64) {
			traffic.SentBytes.Add(n)
			traffic.SentMessages.Add(2)
			traffic.Largest.Store(max(traffic.Largest.Load(), n/2))
		}
		check := func(when, want string) {
			t.Helper()
			if diff := cmp.Diff(all(t, s), want); diff != "" {
				t.Errorf("%s: got -, want +:\n%s", when, diff)
			}
		}
		pass(9000)
		check("before the start", "/7/0/2 = 0, /7/0/3 = 0, /7/0/4 = 0, /7/0/5 = 0, /7/0/8 = 0")
		period := lwm2m.PathOf(7, 0, statisticsPeriod)
		if err := s.Write(period, lwm2m.Tree{{Path: period, Value: lwm2m.Integer(60)}}, client.Replace); err != nil {
			t.Fatal(err)
		}
		if err := s.Execute(lwm2m.PathOf(7, 0, statisticsStart), ""); err != nil {
			t.Fatal(err)
		}
		pass(4000)
		check("while it goes on", "/7/0/2 = 4, /7/0/3 = 0, /7/0/4 = 2000, /7/0/5 = 2000, /7/0/8 = 60")
		time.Sleep(time.Minute)
		synctest.Wait()
		pass(5000)
		check("after the period", "/7/0/2 = 4, /7/0/3 = 0, /7/0/4 = 2000, /7/0/5 = 2000, /7/0/8 = 60")
		if err := s.Write(period, lwm2m.Tree{{Path: period, Value: lwm2m.Integer(-1)}}, client.Replace); !errors.Is(err, client.ErrBadRequest) {
			t.Errorf("a period before the start: %v", err)
		}
		s.Close()
	})
}

func TestThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc of Linux")
	}
	root := os.DirFS("/")
	m, err := memory(root)
	if err != nil || m.FreeKiB <= 0 || m.FreeKiB > m.TotalKiB {
		t.Errorf("%+v, %v", m, err)
	}
	clienttest.Object(t, NewConnectivity(root, Wireless{root}), connectivitySignal, connectivityAddresses)
}

func FuzzReaders(f *testing.F) {
	b := board()
	for _, name := range []string{"proc/meminfo", "proc/net/wireless", "proc/net/route"} {
		f.Add(b[name].Data)
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		_, _ = parseMeminfo(text)
		_, _ = parseWireless(text)
		_, _ = parseRoute(text)
	})
}
