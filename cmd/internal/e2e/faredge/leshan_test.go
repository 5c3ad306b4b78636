//go:build linux

package faredge

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/cmd/internal/e2e/leshan"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// stranger is Leshan's client as a device of a gateway, under the name that the example of a policy for radios has.
type stranger struct {
	*site
	config leshan.Config
	client *leshan.Process
}

const name = "sensor-1"

// models are definitions of the objects that it has beside those that it knows.
func models(t *testing.T) (files []string) {
	t.Helper()
	for _, file := range []string{"oma/9.xml", "oma/19.xml", "edgehold/35001.xml", "edgehold/35002.xml"} {
		file, err := filepath.Abs("../../../../lwm2m/model/" + file)
		must(t, err)
		files = append(files, file)
	}
	return files
}

// join starts the client, which registers.
func (s *stranger) join() {
	s.Helper()
	client, err := leshan.Start(s.config)
	if missing, ok := errors.AsType[*leshan.Missing](err); ok && os.Getenv("EDGEHOLD_SKIP_NOTHING") == "" {
		s.Skip(missing)
	}
	must(s, err)
	s.Cleanup(client.Close)
	s.client = client
	s.hear("registered")
	s.await(func(known map[string]uint64) bool { return known[name] != 0 })
}

// await waits for a list of devices.
func (s *site) await(ok func(known map[string]uint64) bool) {
	s.Helper()
	eventually(s.T, "the devices that are listed are the right ones", func() bool { return ok(s.registered()) })
}

func (s *stranger) hear(prefix string) string {
	s.Helper()
	ctx, stop := context.WithTimeout(s.Context(), patience)
	defer stop()
	line, err := s.client.Hear(ctx, prefix)
	must(s, err)
	return line
}

func (s *stranger) tell(line string) {
	s.Helper()
	must(s, s.client.Tell(line))
}

// TestLeshansClient has the programs drive Leshan's client through all that a far-edge device is for.
func TestLeshansClient(t *testing.T) {
	for name, secured := range map[string]bool{"NoSec": false, "PSK": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tool(t, "mosquitto_rr")
			var known, settings []string
			if secured {
				known, settings = []string{"sensor-1"}, []string{"packages: {keys: [signer.pub]}"}
			}
			s := &stranger{site: newSite(t, known, settings...)}
			s.config = leshan.Config{Endpoint: "sensor-1", URI: "coap://" + s.plain, Lifetime: time.Minute, Models: models(t)}
			if secured {
				s.config.URI, s.config.Identity, s.config.Key = "coaps://"+s.secure, "sensor-1", key
			}
			s.join()
			s.explored()
			s.observed("70", func() {})
			s.routed()
			s.pushed(secured)
			s.stepByStep(secured)
			s.turned()
			if secured {
				s.turnedByPolicy()
			}
			s.survives(secured)
			s.moves()
			s.leaves()
		})
	}
}

func (s *stranger) explored() {
	s.Helper()
	s.device("list", "sensor-1", "LwM2M 1.1")
	s.device("describe sensor-1", "Device", "LWM2M_Software_Management", "BinaryAppDataContainer", "Connectivity_Monitoring")
	s.device("describe sensor-1 Device", "Battery_Level", "Reboot")
	s.device("read sensor-1 Device/0/Manufacturer /4/0/2", "Leshan", "-40", "dBm")
	s.device("write sensor-1 Device/0/UTC_Offset=+05")
	s.device("read sensor-1 Device/0", "+05", "Leshan")
	s.refused("write sensor-1 /3/0/0=Other", "Manufacturer")
	s.device("discover sensor-1 Device/0", "Battery_Level", "UTC_Offset")
	s.device("execute sensor-1 Device/0/Reboot")
	s.hear("rebooted")
	s.ask("sensor-1/Device/0/Property/Battery_Level", `{"operation": "GET"}`, `205`, `"Battery_Level":80`)
	s.ask("sensor-1/Device/0/Property/UTC_Offset", `{"operation": "POST", "data": "+06"}`, `204`)
	s.ask("sensor-1/Device/0/Property/UTC_Offset", `{"operation": "GET"}`, `"+06"`)
	s.ask("sensor-1/Device/7", `{"operation": "GET"}`, `404`)
}

// observed has the command observe, something happen, and the device tell of a change.
func (s *stranger) observed(value string, meanwhile func()) {
	s.Helper()
	cmd := exec.Command(program(s.T, "edgehold"), "device", "--broker", s.broker(), "observe", "sensor-1", "Device/0/Battery_Level", "--count", "2", "-o", "json")
	out, err := cmd.StdoutPipe()
	must(s, err)
	must(s, cmd.Start())
	watchdog := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	lines := bufio.NewScanner(out)
	for said := ""; ; {
		if !lines.Scan() {
			s.Errorf("after %q came nothing: %v", said, cmd.Wait())
			return
		}
		if said == "" { // the first value: it observes
			meanwhile()
			s.tell("battery " + value)
		}
		said += lines.Text()
		if strings.Contains(said, value) {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		s.Error(err)
	}
}

func (s *stranger) routed() {
	s.Helper()
	s.device("create sensor-1 Data_Route/3 Origin_URI=local://1/a Destination_URI=coap://h:1/b")
	s.device("read sensor-1 Data_Route/3", "local://1/a", "coap://h:1/b")
	s.device("create sensor-1 Data_Route Origin_URI=local://1/c Destination_URI=coap://h:1/d")
	s.device("routes sensor-1", "local://1/a", "local://1/c")
	s.device("delete sensor-1 Data_Route/3")
	s.refused("read sensor-1 Data_Route/3", "Data_Route/3")
}

// pushed brings a workload by one command. A gateway without keys passes on any bytes, one with keys those that they vouch for.
func (s *stranger) pushed(secured bool) {
	s.Helper()
	s.write("anything", strings.Repeat("any bytes ", 1500))
	s.write("parcel", string(pack(s.T, "package", []byte("\x00asm\x01\x00\x00\x00"+strings.Repeat("x", 5000)))))
	file := "anything"
	if secured {
		s.refused("push sensor-1 anything --raw", "")
		file = "parcel"
	}
	s.device("push sensor-1 --raw " + file)
	s.hear("package")
	s.device("workloads sensor-1", "package", "INSTALLED", "yes", "1.5 %")
	s.device("read sensor-1 Software_Package_Monitoring", "CPU_Usage", "1.5", "Memory_Usage", "65536")
	s.device("remove sensor-1 0")
	s.hear("deleted 0")
}

// stepByStep is D3.3, 6.3.2, word for word.
func (s *stranger) stepByStep(secured bool) {
	s.Helper()
	const instance = "sensor-1/LWM2M_Software_Management/1/"
	content := "any bytes"
	if secured {
		content = string(pack(s.T, "package", []byte("any bytes")))
	}
	s.ask("sensor-1/LWM2M_Software_Management", `{"operation": "POST", "data": {"label": 1}}`, "201")
	s.ask(instance+"Property/Package", `{"operation": "POST", "data": "`+base64.RawURLEncoding.EncodeToString([]byte(content))+`"}`, "204")
	s.ask(instance+"Property/Update_State", `{"operation": "GET"}`, "205", `"Update_State":3`)
	s.ask(instance+"Action/Install", `{"operation": "POST"}`, "204")
	s.ask(instance+"Action/Activate", `{"operation": "POST"}`, "204")
	s.ask(instance+"Property/Activation_State", `{"operation": "GET"}`, "205", "true")
	s.ask("sensor-1/Software_Package_Monitoring", `{"operation": "GET"}`, "205", `"label":1`, `"CPU_Usage":1.5`, `"Memory_Usage":65536`, `"Uptime":`, `"Error":""`, `"Software_Package":`)
	s.ask(instance+"Action/Deactivate", `{"operation": "POST"}`, "204")
	s.ask("sensor-1/LWM2M_Software_Management/1", `{"operation": "DELETE"}`, "202")
	s.hear("deleted 1")
}

// turned has a person turn its radio's power.
func (s *stranger) turned() {
	s.Helper()
	s.device("knobs sensor-1", "TX_PWR", "HIGH")
	s.device("knobs sensor-1 set TX_PWR LOW", "LOW")
	s.hear("power LOW")
	s.device("read sensor-1 /4/0/2", "-58")
	s.refused("knobs sensor-1 set TX_PWR LOUD", "TX_PWR")
	s.device("knobs sensor-1 set TX_PWR HIGH")
	s.hear("power HIGH")
}

// turnedByPolicy has a node agent turn it, which knows the device over MQTT alone.
func (s *stranger) turnedByPolicy() {
	s.Helper()
	const example = examples + "09-radio-power"
	policy, err := pluginstest.TinyGo(example)
	pluginstest.Need(s.T, err)
	file := s.write("radio-power.wasm", string(pluginstest.Pack(s.T, example, policy)))
	_, err = s.run(program(s.T, "edgeholdd"), "recorded", s.path("machine"))
	must(s, err)
	socket := s.path("agent")
	agent := launch(s.T, s.dir, program(s.T, "edgeholdd"), "run", "--set", "state_directory="+s.path("agent-state"), "--set", "api.socket="+socket,
		"--set", "mechanism_plugins.root="+s.path("machine"), "--set", "devices.broker="+s.broker())
	ask := func(args ...string) (string, error) {
		return s.run(program(s.T, "edgehold"), append([]string{"--socket", socket}, args...)...)
	}
	eventually(s.T, "the agent hears of the device's radio", func() bool {
		out, err := ask("metric", "query", `device_radio_signal_strength_dbm{device="sensor-1"}`)
		return err == nil && strings.Contains(out, "-40")
	})
	eventually(s.T, "the agent knows the device's knob", func() bool {
		out, err := ask("mechanism", "options", "DeviceKnobs")
		return err == nil && strings.Contains(out, "sensor-1/TX_PWR")
	})
	_, err = ask("policy", "upload", file)
	must(s, err)
	s.hear("power MEDIUM")
	out, err := ask("decision", "explain", "last")
	if err != nil || !strings.Contains(out, "radio-power") {
		s.Errorf("decision: %v\n%s", err, out)
	}
	agent.end()
	s.hear("power HIGH") // it puts back what it turned
}

// survives kills the gateway under an observation. The next goes on with it: over plain CoAP the device notices nothing, and an association is kept.
func (s *stranger) survives(secured bool) {
	s.Helper()
	before := s.registered()[name]
	s.observed("60", func() {
		settled()
		s.restart()
	})
	if after := s.registered()[name]; after != before {
		s.Errorf("it has registered again: %d, %d before", after, before)
	}
	s.device("read sensor-1 Device/0/Battery_Level", "60")
}

// moves has the device lose its power and come back from another port.
func (s *stranger) moves() {
	s.Helper()
	before := s.registered()[name]
	s.client.Close()
	s.join()
	s.await(func(known map[string]uint64) bool { return known[name] != before })
	s.device("read sensor-1 Device/0/Battery_Level", "80")
	s.observed("50", func() {})
	if all := s.registered(); len(all) != 1 {
		s.Errorf("listed are %v", all)
	}
}

func (s *stranger) leaves() {
	s.Helper()
	s.tell("stop")
	s.hear("deregistered")
	s.await(func(known map[string]uint64) bool { return len(known) == 0 })
	s.refused("read sensor-1 Device/0/Battery_Level", "sensor-1")
}
