//go:build linux

package leshan

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/port"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/firmware"
	"github.com/edgehold/edgehold/lwm2m/device/machine"
	"github.com/edgehold/edgehold/plugins/parcel"
)

// ours is our device, and Leshan's server that it is to register with.
type ours struct {
	t      *testing.T
	host   *Process
	client *client.Client
	radio  *machine.SimulatedRadio
	stop   func()
	kept   []string // lines that nobody has waited for yet
}

// hear waits until the server says something that begins so. What it says meanwhile is kept for later: answers and notifications come in
// any order.
func (o *ours) hear(prefix string) string {
	o.t.Helper()
	ctx, cancel := context.WithTimeout(o.t.Context(), 60*time.Second)
	defer cancel()
	for i, line := range o.kept {
		if strings.HasPrefix(line, prefix) {
			o.kept = slices.Delete(o.kept, i, i+1)
			return line
		}
	}
	for {
		line, err := o.host.Hear(ctx, "")
		must(o.t, err)
		if strings.HasPrefix(line, prefix) {
			return line
		}
		o.kept = append(o.kept, line)
	}
}

// ask has the server ask, and checks the answer: its code, and what it has to contain.
func (o *ours) ask(line string, code int, contains ...string) {
	o.t.Helper()
	must(o.t, o.host.Tell(line))
	answer := o.hear("answer ")
	for _, want := range append(contains, fmt.Sprintf("answer %d ", code)) {
		if !strings.Contains(answer, want) {
			o.t.Errorf("%.60s: %s, want %q in it", line, answer, want)
		}
	}
}

var routes = client.Definition{ID: 35001, Multiple: true, Resources: []client.Resource{
	{ID: 27200, Name: "Origin URI", Kind: lwm2m.KindString, Operations: client.ReadWrite, Mandatory: true},
	{ID: 27201, Name: "Destination URI", Kind: lwm2m.KindString, Operations: client.ReadWrite, Mandatory: true},
}}

func startOurs(t *testing.T, secured bool) *ours {
	t.Helper()
	plain, secure := port.Address(t), port.Address(t)
	o := &ours{t: t, radio: &machine.SimulatedRadio{}}
	var err error
	o.host, err = StartServer(ServerConfig{
		Plain: plain, Secure: secure, Endpoint: "ours", Identity: "identity", Key: key, Models: []string{"../../../../lwm2m/model/edgehold/35001.xml"},
	})
	need(t, err)
	t.Cleanup(o.host.Close)
	o.hear("listening")
	account := client.Account{URI: "coap://" + plain, Mode: client.NoSec}
	endpoint := "ours"
	if secured {
		account = client.Account{URI: "coaps://" + secure, Mode: client.PSK, Identity: "identity", Key: string(key)}
		endpoint = "ours-psk"
	}
	account.Short, account.Lifetime, account.SendAllowed = 123, time.Minute, true
	dir := t.TempDir()
	update, err := firmware.New(firmware.Config{Dir: dir, Store: client.Folder(dir), Updater: &firmware.Hook{
		Trust: parcel.Trust{Keys: []ed25519.PublicKey{signer.Public().(ed25519.PublicKey)}}, Version: "1", Command: []string{"/bin/true"},
	}})
	must(t, err)
	o.client, err = client.New(client.Config{
		Endpoint: endpoint, Accounts: []client.Account{account}, Store: client.Folder(dir), Objects: []client.Object{
			machine.NewDevice(machine.DeviceConfig{Identity: machine.Identity{Manufacturer: "Edgehold"}, Root: os.DirFS("/")}),
			machine.NewConnectivity(os.DirFS("/"), o.radio), update, client.NewTable(routes, client.Rules{}),
		},
	})
	must(t, err)
	o.run(update.Run)
	o.stop = o.run(o.client.Run)
	return o
}

func (o *ours) run(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			o.t.Error(err)
		}
	}
	o.t.Cleanup(stop)
	return stop
}

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func image(t *testing.T) string {
	t.Helper()
	body := bytes.Repeat([]byte("firmware"), 2500)
	seal, err := parcel.Seal(parcel.Statement{
		Name: "board", Version: "2", Kind: firmware.Kind, Digest: sha256.Sum256(body), Length: uint64(len(body)), Counter: 1, Devices: "*",
	}, signer)
	must(t, err)
	p, err := parcel.Pack(seal, body)
	must(t, err)
	return hex.EncodeToString(p)
}

// TestOurDevice has Leshan's server go through everything with our device.
func TestOurDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("short: starts a Java virtual machine")
	}
	for _, secured := range []bool{false, true} {
		name := "without security"
		if secured {
			name = "PSK"
		}
		t.Run(name, func(t *testing.T) {
			o := startOurs(t, secured)
			// It does not know 1.2 and says so (4.12), which our device takes.
			if line := o.hear("registered"); !strings.HasSuffix(line, " 1.1 60 [U] 1.2") {
				t.Errorf("%q", line)
			}
			o.reads()
			o.writes()
			o.observes()
			o.updatesFirmware()
			o.stop()
			o.hear("unregistered")
		})
	}
}

func (o *ours) reads() {
	o.t.Helper()
	for _, format := range []string{"SENML_CBOR", "SENML_JSON", "TLV"} {
		o.ask("read "+format+" /3/0", 205, "/0=Edgehold;", "/11[0]=0;", "/16=U;")
		o.ask("read "+format+" /3", 205, "/0{", "/0=Edgehold;")
	}
	for _, format := range []string{"SENML_CBOR", "SENML_JSON", "TLV", "TEXT", "CBOR"} {
		o.ask("read "+format+" /3/0/0", 205, "=Edgehold;")
		o.ask("read "+format+" /4/0/2", 205, "=-40;")
	}
	o.ask("composite SENML_CBOR /3/0/0 /4/0/2", 205, "/3/0/0=Edgehold;", "/4/0/2=-40;")
	o.ask("read TEXT /3/0/99", 404)
	o.ask("read TLV /0/0", 401)
	o.ask("discover /3", 205, "</3/0/11>;dim=1")
}

func (o *ours) writes() {
	o.t.Helper()
	for i, format := range []string{"SENML_CBOR", "SENML_JSON", "TLV"} {
		o.ask(fmt.Sprintf("create %s %d local://1/a coap://h/%d", format, i, i), 201)
		o.hear("updated")
		o.ask(fmt.Sprintf("read %s /35001/%d", format, i), 205, "/27200=local://1/a;", fmt.Sprintf("/27201=coap://h/%d;", i))
		o.ask(fmt.Sprintf("write %s /35001/%d/27201 coap://elsewhere/", format, i), 204)
		o.ask(fmt.Sprintf("read %s /35001/%d/27201", format, i), 205, "=coap://elsewhere/;")
	}
	o.ask("write TEXT /35001/0/27201 coap://text/", 204)
	o.ask("write TEXT /3/0/0 Other", 405)
	o.ask("delete /35001/2", 202)
	o.ask("execute /1/0/8", 204)
	o.hear("updated")
	must(o.t, o.client.SendPaths(o.t.Context(), lwm2m.MustParsePath("/4/0/2"), lwm2m.MustParsePath("/3/0/0")))
	if line := o.hear("sent "); !strings.Contains(line, "/4/0/2=-40;") || !strings.Contains(line, "/3/0/0=Edgehold;") {
		o.t.Error(line)
	}
}

func (o *ours) observes() {
	o.t.Helper()
	o.ask("attributes /4/0/2 pmin=0&st=5", 204)
	o.ask("discover /4/0/2", 205, "st=5")
	o.ask("observe SENML_CBOR /4/0/2", 205, "=-40;")
	o.radio.SetTransmitPower(-3) // less than the step
	o.radio.SetTransmitPower(-10)
	if line := o.hear("notified"); line != "notified /4/0/2 =-50;" {
		o.t.Error(line)
	}
	o.ask("cancel", 205)
}

func (o *ours) updatesFirmware() {
	o.t.Helper()
	o.ask("observe TEXT /5/0/3", 205, "=0;")
	o.ask("push /5/0/0 "+image(o.t), 204)
	for o.hear("notified") != "notified /5/0/3 =2;" {
	}
	o.ask("read TEXT /5/0/7", 205, "=2;")
	o.ask("execute /5/0/2", 204)
	for o.hear("notified") != "notified /5/0/3 =0;" {
	}
	o.ask("read TEXT /5/0/5", 205, "=1;")
}
