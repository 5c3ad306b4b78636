package docs

import (
	"slices"
	"strings"
)

// document says what the lines of a document need around them, and what they have to show.
type document struct {
	alone      bool               // nothing else may run beside it
	inClone    bool               // the reader stands in a clone of the repository, else in an empty folder
	ownDaemon  bool               // it starts daemons itself; otherwise one runs, and EDGEHOLD_SOCKET leads to it
	toTheEnd   bool               // what is watched ends by itself
	needs      []string           // programs that the document says one has to have
	before     string             // what the reader has done before the first line
	beforeEach func(block) string // what the reader has done before each block; may be nil
	shows      []shown
	notRun     map[string]string // lines that can't be run beside this one, and why; see notRun for those of every document
}

// shown is what a line, known by its beginning, has to print. The lines come in the document's order.
type shown struct{ line, output string }

// documents holds what is not the usual: an empty folder and a running daemon.
var documents = map[string]document{
	"README.md": {
		alone: true, inClone: true, ownDaemon: true,
		shows: []shown{
			{"edgehold policy test first", "first passes"},
			{"edgehold policy upload first/first.wasm --set high=0", `first 0\.1\.0 decides now`},
			{"cat machine", "(?m)^3000000$"},
			{"edgehold decision list", "applied"},
			{"edgehold decision explain last", "because of this: “load .* is above 0”"},
			{"edgehold decision replay last", "The same, byte for byte"},
			{"edgehold metric query 'node_load1'", "node_load1 "},
			{"edgehold policy versions first", `0\.2\.0 +quarantined[^$]*0\.1\.0 +active`},
			{"edgehold audit list", `policy\.quarantine`},
			{`edgehold decision replay "$(`, `0\.2\.0 failed on the inputs`},
			{"edgehold mechanism apply", "2.4 GHz"},
			{"edgehold mechanism revert", "-> 1.8 GHz"},
			{"edgehold policy rollback first", `0\.1\.0 is active`},
			{"cat machine", "(?m)^1800000$"},
		},
	},
	"plugins/README.md": {
		inClone: true, ownDaemon: true, toTheEnd: true,
		shows: []shown{
			{"for module in", "would have planned the same"},
			{"edgehold plugin run", `"count": ?4`},
			{"edgehold policy verify", `signed as first@0\.1\.0`},
			{"edgehold policy list -o wide", "0\\.1\\.0 .* signed"},
			{"edgehold policy upload c.wasm", "sign.unsigned(?s).*refused, as it should be"},
			{"edgehold policy diff", "it may do nothing that the first may not"},
			{"edgehold policy rollout get first --watch", "0\\.2\\.0 decides and has come through its probation"},
			{"edgehold policy rollout get first --watch", "it did not stay"},
			{"edgehold policy rollout get first", "(?i)trap"},
			{"edgehold policy rollback first", "0\\.1\\.0"},
		},
	},
	"lwm2m/README.md": {
		inClone: true, ownDaemon: true, toTheEnd: true, needs: []string{"tinygo", "mosquitto", "mosquitto_rr"},
		shows: []shown{
			{"edgehold device read sensor-1 Temperature ", `Sensor_Value +[0-9.]+ +Cel`},
			{"edgehold device observe", "(?s)Sensor_Value.*Sensor_Value"},
			{"edgehold device push sensor-1 temp", `temp-average 1\.0\.0`},
			{"ask sensor-2/Software_Package_Monitoring", `"response_code":205,"sdfObject":{"Software_Package_Monitoring":\[{"label":1,`},
			{"edgehold device push sensor-1 altered", "refused, as it should be"},
			{"until mosquitto_sub", `(?m)^[0-9.]+$`},
			{"until edgehold device knobs", "LOW"},
			{"edgehold decision explain last", "TX_PWR"},
			{"until edgehold device workloads", "temp-average"},
			{"until mosquitto_sub", `(?m)^[0-9.]+$`},
			{"edgehold device list", "sensor-2"},
			{"edgehold-device fleet", "forgotten by the gateway 0"},
			{"edgehold device list -o name", "(?m)^202$"},
		},
	},
	"CONTRIBUTING.md":                   {inClone: true},
	"examples/README.md":                {inClone: true},
	"examples/01-cpu-boost/README.md":   {inClone: true},
	"examples/05-rest-device/README.md": {inClone: true},
	"examples/06-leds/README.md":        {inClone: true},
	"examples/07-temp-average/README.md": {inClone: true, shows: []shown{
		{"edgehold policy inspect", `temp_avg Cel`},
	}},
	"examples/08-tinyml-vibration/README.md": {inClone: true, shows: []shown{
		{"go run", `9[6-9]\.\d+ %`},
	}},
	"cmd/edgehold-device/README.md": {inClone: true, ownDaemon: true, needs: []string{"tinygo"}, shows: []shown{
		{"edgehold trust parcel", `temp-average\.parcel: 28`},
		{"edgehold-device check", "would register with coap://127.0.0.1:5683 and take packages of 1 keys"},
		{"edgehold device push", "radio-power 1.0.0"},
		{"edgehold device workloads", "a step down; TX_PWR to MEDIUM"},
		{"until edgehold device read", "TX_PWR to"},
	}},
	"examples/09-radio-power/README.md": {
		inClone: true, ownDaemon: true,
		shows: []shown{
			{"edgehold metric query", `device="sensor-1".* -57`},
			{"edgehold policy upload", "radio-power 1.0.0 decides now"},
			{"until edgehold device knobs sensor-1 get TX_PWR", "TX_PWR +MEDIUM"},
			{"edgehold decision list", "a step down"},
			{"until edgehold device knobs sensor-1 get TX_PWR", "TX_PWR +HIGH"},
		},
	},
	"cmd/edgeholdd/README.md": {
		ownDaemon: true,
		shows: []shown{
			{"edgehold doctor", "state:.*sound"},
			{"edgehold mechanism list --server", "CPUFrequency +yes"},
			{"edgehold metric query app_queue_length", "app_queue_length .* 7"},
			{"curl --silent --fail --unix-socket edgehold.sock http://edgehold/healthz", "ok"},
			{"curl --silent --fail --cacert", "node_load1 "},
			{"edgehold mechanism apply", "(?s)mechanism.hands-off.*refused"},
			{"edgehold mechanism apply", "1.8 GHz -> 2.4 GHz"},
			{"until edgehold audit verify", "whole"},
		},
	},
	"agents/api/README.md": {shows: []shown{
		{"curl --silent --fail --unix-socket \"$EDGEHOLD_SOCKET\" http://edgehold/v1/mechanisms/CPUFrequency/apply", `"outcome": ?"applied"`},
	}},
	"sdk/README.md": {needs: []string{"clang-19", "cargo"}, shows: []shown{
		{"edgehold policy test load-follower", "passes: its tests succeed"},
		{"edgehold policy test mean", "passes: its tests succeed"},
		{"edgehold policy build mean", `mean 0\.1\.0, [789]\.\d KiB`},
	}},
	"sdk/rust/README.md": {needs: []string{"cargo"}, shows: []shown{
		{"edgehold policy test first", "passes: its tests succeed"},
		{"edgehold policy test mean", "passes: its tests succeed"},
	}},
	"sdk/c/README.md": {needs: []string{"clang-19"}, shows: []shown{
		{"edgehold policy test first", "passes: its tests succeed"},
		{"edgehold policy test mean", "passes: its tests succeed"},
	}},
	"sdk/go/README.md": {needs: []string{"tinygo"}, shows: []shown{
		{"edgehold policy test .", "passes: its tests succeed"},
		{"edgehold policy upload cpu-boost.wasm", "decides now"},
		{"edgehold policy test mean", "passes: its tests succeed"},
	}},
	"cmd/edgehold/README.md": {
		before: twoVersions, beforeEach: besideAProject,
		notRun: map[string]string{
			"edgehold trust update": "the agent beside the documents has no source of metadata",
			"edgehold device ...":   "no gateway stands beside this document; cmd/edgehold's own scripts run them all",
		},
	},
}

// twoVersions makes the policy load-follower in versions 1.0.0 and 1.1.0, of which the second decides, often. Version 1.2.0 is there
// to be rolled out.
const twoVersions = `
edgehold policy new load-follower "$HOME/load-follower"
sed -i 's/^analyze_interval: .*/analyze_interval: 200ms/; s/^version: .*/version: 1.0.0/' "$HOME/load-follower/policy.yaml"
edgehold policy build "$HOME/load-follower" --to "$HOME/old.wasm"
sed -i 's/^version: .*/version: 1.1.0/' "$HOME/load-follower/policy.yaml"
edgehold policy build "$HOME/load-follower" --to "$HOME/load-follower.wasm"
cp "$HOME/load-follower.wasm" "$HOME/new.wasm"
sed -i 's/^version: .*/version: 1.2.0/' "$HOME/load-follower/policy.yaml"
edgehold policy build "$HOME/load-follower" --to "$HOME/next.wasm"
sed -i 's/^version: .*/version: 1.1.0/' "$HOME/load-follower/policy.yaml"
cp "$(go env GOMODCACHE)"/github.com/extism/go-sdk@*/wasm/count_vowels.wasm "$HOME"
chmod u+w "$HOME/count_vowels.wasm"
mkdir -p "$HOME/policies"
restore() {
	edgehold policy rollout abort load-follower || true
	edgehold policy upload old.wasm --set high=0
	edgehold policy enable load-follower
	edgehold policy upload load-follower.wasm
	until edgehold decision list --outcome applied,clamped -o name | grep -q .; do sleep 0.02; done
}
`

// besideAProject begins a block in a folder with the policy's modules, and with its project unless the block makes it.
func besideAProject(b block) string {
	begin := `mkdir "$TMPDIR/$((++block))"; cd "$TMPDIR/$block"; cp "$HOME"/*.wasm .; `
	if !slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, "edgehold policy new") }) {
		begin += `cp -r "$HOME/load-follower" .; `
	}
	begin += "restore"
	if slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, "edgehold trust ") }) {
		begin += besideKeys
		if !slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, "edgehold trust init ") }) {
			begin += besideAFleet
		}
	}
	return begin + besideARollout(b)
}

// besideARollout has a new version in shadow before lines that steer one, unless they begin it themselves.
func besideARollout(b block) string {
	has := func(prefix string) bool {
		return slices.ContainsFunc(b.lines, func(line string) bool { return strings.HasPrefix(line, prefix) })
	}
	switch {
	case !has("edgehold policy rollout ") || has("edgehold policy upload "):
		return ""
	case has("edgehold policy rollout resume "):
		return "; edgehold policy upload next.wasm --shadow 1h; edgehold policy rollout pause load-follower"
	}
	return "; edgehold policy upload next.wasm --shadow 1h"
}

// besideKeys are those that people made on machines of their own, and an image for devices, besideAFleet is an operator's folder.
const (
	besideKeys   = "; for name in ada bob eve; do edgehold trust key new $name --keys .; done; head -c 4096 /dev/zero >board-2.0.0.img"
	besideAFleet = `; edgehold trust init trust; edgehold trust add old.wasm new.wasm
edgehold trust key add root eve.pub; edgehold trust assign node-7 load-follower@1.0.0`
)

// ports are those that documents name; a test has its own.
var ports = []string{
	"127.0.0.1:8443", "127.0.0.1:4317", "127.0.0.1:4318", "127.0.0.1:5000", "127.0.0.1:5693", "127.0.0.1:25694", "127.0.0.1:25695", "127.0.0.1:25683", "127.0.0.1:25684", "127.0.0.1:25685", "127.0.0.1:25686", "127.0.0.1:25883",
}

// places are folders of a machine; a test has its own.
var places = map[string]string{
	"/etc/edgehold/": "/etc/",
	"/tmp/":          "/tmp/",
}

// notRun names the lines that no test can run in any document, and why.
var notRun = map[string]string{
	"make test":  "this test is part of it",
	"make check": "it runs every package's tests, which make test has done",
	"make bench": "it measures for minutes",
	"make fuzz":  "it fuzzes for minutes",

	"edgehold policy upload oci://registry.example/policies/load-follower:1.3.0": "there is no such registry",

	"CGO_ENABLED=1 go test -race ./agents/decision": "make test does, and it compiles everything once more",
	"go test ./examples/...":                        "make test does, and it compiles every example once more",
}
