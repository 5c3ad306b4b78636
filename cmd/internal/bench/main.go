// Command bench measures Edgehold beside what it is compared with, both in the same run, and prints a line for each
// figure: name, ours, theirs, ratio, goal, and whether the goal is met. It is not a test: on a busy machine figures vary, and
// nothing fails when one is short unless -strict is given.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"regexp"
	"text/tabwriter"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/toolchain"
)

// rows are the table. Each theme has its file.
var rows = []Row{
	{"call, 1 KiB in, 200 B out", "raw wazero call", Times(6), callAgainstRaw},
	{"call, 1 KiB in, 200 B out", "extism/go-sdk", Faster(400), callAgainstExtism},
	{"the same, as an Extism plugin", "extism/go-sdk", Faster(5), pluginAgainstSDK},
	{"host call with grant check", "bare host function", Times(2), hostCall},
	{"metering a loop", "the same unmetered", Times(1.5), meteredLoop},
	{"metering a Go policy", "the same unmetered", Times(1.4), meteredPolicy},
	{"Go policy, 36 metrics", "native Go, flat codec", Times(6), policyAgainstNative},
	{"Rust policy: module", "", AtMost(16, "KiB"), policySize(toolchain.Rust)},
	{"Rust policy: call with fuel", "", AtMost(2, "µs"), policyCall(toolchain.Rust)},
	{"C policy: module", "", AtMost(16, "KiB"), policySize(toolchain.C)},
	{"C policy: call with fuel", "", AtMost(2, "µs"), policyCall(toolchain.C)},
	{"TinyGo policy: module", "", AtMost(128, "KiB"), policySize(toolchain.TinyGo)},
	{"TinyGo policy: call with fuel", "", AtMost(10, "µs"), policyCall(toolchain.TinyGo)},
	{"AssemblyScript policy: module", "", AtMost(64, "KiB"), policySize(toolchain.AssemblyScript)},
	{"AssemblyScript policy: call with fuel", "", AtMost(20, "µs"), policyCall(toolchain.AssemblyScript)},
	{"fresh episode of a Go guest", "re-instantiating", Faster(15), freshEpisode},
	{"instantiate a Go guest", "wazero default", Faster(15), instantiate},
	{"deadline overrun p99, loop", "added to a clock", AtMost(5, "ms"), overrunLoop},
	{"deadline overrun p99, call tree", "added to a clock", AtMost(5, "ms"), overrunTree},
	{"GC stall by a running guest, p90", "added to native", AtMost(0.5, "ms"), gcStall},
	{"Go guests in a GiB, called once", "wazero default", AtLeast(4500, ""), density},
	{"swap pause, median of 10,000 under load", "", AtMost(2000, "ns"), swapPause},
	{"rollback after the decision, p99 under load", "", AtMost(1e6, "ns"), rollbackTime},
	{"four instances from an image", "", AtMost(5e6, "ns"), prepareFour},
	{"hostile 351 KiB upload refused", "", AtMost(50, "ms"), hostileUpload},
	{"resident memory, five Go policies", "", AtMost(40, "MB"), resident},
	{"delta of a line changed in a Go policy", "the whole module", Times(0.15), deltaBytes},
	{"applying that delta", "", AtMost(50, "ms"), deltaApply},
	{"CoAP: registration and first read, server's CPU", "go-coap's server", Faster(3), coapRegistration},
	{"CoAP: registration and first read, server's CPU", "", AtMost(60e3, "ns"), coapRegistrationAlone},
	{"whole daemon: crossing to applied, p99", "", AtMost(20, "ms"), crossingToApplied},
	{"whole daemon: idle memory, five Go policies", "", AtMost(40, "MB"), idleDaemon},
	{"DTLS association asleep", "", AtMost(2, "KB"), dtlsAsleep},
	{"DTLS association active", "go-coap's server", AtMost(40, "KB"), dtlsActive},
	{"DTLS handshake, pre-shared keys, CPU of both ends", "", AtMost(2e6, "ns"), dtlsHandshake},
	{"LwM2M device registered, one resource observed", "", AtMost(2.5, "KB"), ofStorm(func(s *storm) float64 { return s.bytes / 1024 }, "KB")},
	{"durable registrations, storm of 100,000", "", AtLeast(5000, "/s"), ofStorm(func(s *storm) float64 { return s.rate }, "/s")},
	{"registration p99, storm of 100,000", "", AtMost(500e6, "ns"), ofStorm(func(s *storm) float64 { return float64(s.p99) }, "ns")},
	{"registration and first read, CPU", "", AtMost(60e3, "ns"), ofStorm(func(s *storm) float64 { return float64(s.cpu) }, "ns")},
	{"edgehold-device with a workload: resident", "", AtMost(8, "MB"), deviceMemory("VmRSS")},
	{"edgehold-device with a workload: of its own", "", AtMost(8, "MB"), deviceMemory("RssAnon")},
	{"MQTT request to a device and back, p99, 1,000 devices", "added to a CoAP read", AtMost(10e6, "ns"), addedByMQTT},
	{"whole gateway: a device, one resource observed", "", AtMost(2.5, "KB"), ofWhole(func(s *wholeStorm) float64 { return s.bytes / 1024 }, "KB")},
	{"whole gateway: durable registrations, storm of 100,000", "", AtLeast(5000, "/s"), ofWhole(func(s *wholeStorm) float64 { return s.rate }, "/s")},
	{"whole gateway: registration p99, storm of 100,000", "", AtMost(500e6, "ns"), ofWhole(func(s *wholeStorm) float64 { return float64(s.p99) }, "ns")},
	{"whole gateway: edgehold device list, 100,000", "", AtMost(5e9, "ns"), ofWhole(func(s *wholeStorm) float64 { return float64(s.list) }, "ns")},
	{"whole gateway: killed, a device of 100,000 is read again", "", AtMost(5e9, "ns"), ofWhole(func(s *wholeStorm) float64 { return float64(s.restart) }, "ns")},
	{"whole gateway: a device after that", "", AtMost(2.5, "KB"), ofWhole(func(s *wholeStorm) float64 { return s.after / 1024 }, "KB")},
	{"killed gateway serves 100,000 again", "", AtMost(5e9, "ns"), ofStorm(func(s *storm) float64 { return float64(s.restart) }, "ns")},
}

func main() {
	host.RunChild()
	residentChild()
	gatewayChild()
	coapChild()
	pattern := flag.String("run", "", "measure only rows whose name matches this regular expression")
	strict := flag.Bool("strict", false, "exit with status 1 if a goal is missed")
	flag.Parse()
	selected, err := regexp.Compile(*pattern)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: -run:", err)
		os.Exit(2)
	}
	if met := table(context.Background(), selected); !met && *strict {
		os.Exit(1)
	}
}

// table measures and prints the selected rows, one at a time.
func table(ctx context.Context, selected *regexp.Regexp) (met bool) {
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "FIGURE\tAGAINST\tOURS\tTHEIRS\tRATIO\tGOAL\t")
	met = true
	for _, r := range rows {
		if !selected.MatchString(r.Name) {
			continue
		}
		m, err := r.Measure(ctx)
		if err != nil {
			fmt.Fprintf(w, "%s\t%s\t\t\t\t%s\tfailed: %v\n", r.Name, r.Against, r.Goal, err)
			met = false
			continue
		}
		ok := r.Goal.met(m)
		met = met && ok
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, r.Against, m.ours(), m.theirs(), m.ratio(r.Goal), r.Goal, verdict(ok))
		w.Flush()
	}
	return met
}

func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "short"
}
