package archtest

import "slices"

// Paths are relative to the module; "x/..." stands for x and everything below it.

// folders are the only directories that may stand at the top of the repository.
var folders = []string{
	".ci", ".git", "agents", "cmd", "examples", "host", "lwm2m", "mechanisms", "plugins", "sdf", "sdk", "telemetry",
	"tools", "vkubelet", "wasmabi",
	"bin", ".cache", // made by the Makefile, not committed
}

// rule says which packages of ours those that pkg names may import.
type rule struct {
	pkg string
	may []string
}

// imports: the first rule that matches decides; a package that no rule names may import nothing of ours.
var imports = []rule{
	// Leaves: what everybody speaks.
	{"wasmabi", nil},
	{"plugins/parcel", nil},
	{"agents/api", nil},
	{"telemetry/attr", nil},
	{"mechanisms", nil},
	{"lwm2m", nil},
	{"sdf", nil},

	{"sdk/go/policytest", []string{"sdk/go/policy", "wasmabi"}},
	{"sdk/go/workloadtest", []string{"sdk/go/workload", "wasmabi"}},
	{"sdk/go/adaptertest", []string{"sdk/go/adapter", "wasmabi"}},
	{"sdk/go/...", []string{"wasmabi"}},
	{"plugins/rollout/...", []string{"agents/api", "plugins/rollout"}}, // for quantities as people write them
	{"plugins/sign", []string{"plugins/parcel", "plugins/store", "wasmabi"}},
	{"plugins/bundle", []string{"wasmabi"}},
	{"plugins/registry", []string{"plugins/bundle", "plugins/delta", "plugins/store"}},
	{"plugins/pluginstest", []string{"plugins", "plugins/toolchain", "wasmabi"}},
	{"plugins", []string{"wasmabi"}},
	{"examples/08-tinyml-vibration/...", []string{"examples/08-tinyml-vibration/...", "sdk/go/workload"}},
	{"examples/...", []string{"sdk/go/adapter", "sdk/go/policy", "sdk/go/workload"}},

	// The host runs guests and knows nothing of what they decide.
	{"host/internal/wasm", nil},
	{"host/internal/kernel", nil},
	{"host/internal/wasm/wasmtest", []string{"wasmabi", "host/internal/wasm"}},
	{"host/internal/rewrite", []string{"host/internal/wasm"}},
	{"host/internal/imports", []string{"host/internal/wasm", "wasmabi"}},
	{"host/internal/...", []string{"wasmabi", "host/internal/..."}},
	{"host", []string{"wasmabi", "host/internal/..."}},
	{"host/extism/helper", nil}, // what speaks to the program that links the engines links none
	{"host/extism/mount", nil},
	{"host/extism/fallback", []string{"wasmabi", "host", "host/capability", "host/extism/helper", "host/internal/documents"}},
	{"host/...", []string{"wasmabi", "host"}},

	// The engine declares the interfaces that it needs.
	{"agents", []string{"telemetry/attr"}},
	{"agents/state", []string{"plugins/store"}},
	{"agents/decision", []string{"agents", "agents/state"}},
	{"agents/apiserver", []string{"agents/api", "agents/apiserver/token"}},
	{"agents/apiserver/token", []string{"agents/api"}},
	{"agents/apiserver/apiservertest", []string{"agents/api", "agents/apiserver", "plugins/rollout/...", "wasmabi"}},
	{"agents/apiclient", []string{"agents/api"}},
	{"agents/doctor", []string{"agents/api"}},
	{"agents/proxy", []string{"mechanisms", "plugins/store", "sdf/mqtt", "sdf/mqtt/shell", "telemetry/ring"}}, // plugins/store for its durable files
	{"agents/node/fault", nil},
	{"agents/node/config", []string{"agents/api", "agents/proxy", "host/capability", "mechanisms", "plugins/registry", "plugins/sign", "sdf/mqtt"}}, // whose own configurations it makes and checks
	{"agents/node/trust", []string{"agents/api", "agents/doctor", "agents/node/fault", "agents/state", "plugins/sign", "wasmabi"}},
	{"agents/node/loop", []string{"wasmabi", "agents", "agents/api", "agents/node/fault", "host", "host/record", "mechanisms", "telemetry", "telemetry/ring"}},
	{"agents/node/plug/plugtest", nil},
	{"agents/node/plug", []string{"agents/api", "agents/node/adapter", "host", "host/capability", "host/extism/fallback", "host/record", "lwm2m/coap", "mechanisms", "plugins/store", "wasmabi"}}, // adapters ask devices over CoAP
	{"agents/node/adapter", []string{"host", "host/capability", "host/extism/fallback", "host/record", "mechanisms", "plugins/store", "wasmabi"}},
	{"agents/node", []string{ // neither the server nor the client: it implements what the server declares
		"wasmabi", "agents", "agents/api", "agents/decision", "agents/doctor", "agents/node/...", "agents/proxy", "agents/state", "host/...", "mechanisms/...", "plugins/bundle", "plugins/registry",
		"plugins/rollout/...", "plugins/sign", "plugins/store", "telemetry/...",
	}},

	// No driver knows another one, nor the guard any.
	{"mechanisms/internal/...", nil},
	{"mechanisms/...", []string{"mechanisms", "mechanisms/internal/..."}},

	// The far edge, from the wire up.
	{"lwm2m/model", []string{"lwm2m"}},
	{"lwm2m/codec", []string{"lwm2m"}},
	{"lwm2m/internal/pause", nil},
	{"lwm2m/durable", nil},
	{"lwm2m/coap", []string{"lwm2m/internal/pause"}},
	{"lwm2m/coap/dtls", []string{"lwm2m/coap"}},
	{"lwm2m/fleet", []string{"lwm2m/coap"}},
	{"lwm2m/client/clienttest", []string{"lwm2m", "lwm2m/client", "lwm2m/model"}},
	{"lwm2m/client", []string{"lwm2m", "lwm2m/coap", "lwm2m/coap/dtls", "lwm2m/codec", "lwm2m/durable", "lwm2m/internal/pause"}},
	{"lwm2m/store", nil},
	{"lwm2m/gateway", []string{
		"lwm2m", "lwm2m/coap", "lwm2m/coap/dtls", "lwm2m/internal/pause", "lwm2m/model", "lwm2m/server", "lwm2m/store", "plugins/parcel", "sdf", "sdf/mqtt", "sdf/oma",
	}},
	{"lwm2m/server/...", []string{"lwm2m", "lwm2m/coap", "lwm2m/codec", "lwm2m/model", "lwm2m/store"}},

	{"lwm2m/device", []string{"host", "lwm2m", "lwm2m/client", "lwm2m/coap/...", "lwm2m/device/...", "plugins/parcel", "wasmabi"}},
	{"lwm2m/device/runner", []string{"host", "lwm2m", "lwm2m/device/knob", "wasmabi"}},
	{"lwm2m/device/firmware", []string{"lwm2m", "lwm2m/client", "lwm2m/internal/pause", "plugins/parcel"}},
	{"lwm2m/device/knob", []string{"lwm2m", "lwm2m/client"}},
	{"lwm2m/device/route", []string{"lwm2m", "lwm2m/client", "lwm2m/coap", "lwm2m/device/runner"}},
	{"lwm2m/device/machine", []string{"lwm2m", "lwm2m/client"}},
	{"lwm2m/device/sensor", []string{"lwm2m", "lwm2m/client"}},
	{"lwm2m/device/software", []string{"lwm2m", "lwm2m/client", "lwm2m/durable", "lwm2m/internal/pause", "lwm2m/device/runner", "plugins/parcel", "wasmabi"}},

	{"telemetry", []string{"telemetry/..."}},
	{"telemetry/ring", nil},
	{"telemetry/internal/...", nil},
	{"telemetry/...", []string{"telemetry/attr", "telemetry/ring", "telemetry/internal/..."}},

	// Who speaks to devices speaks SDF, over MQTT.
	{"sdf/mqtt", []string{"sdf"}},
	{"sdf/mqtt/shell", []string{"sdf/mqtt"}},
	{"sdf/oma", []string{"lwm2m", "lwm2m/model", "sdf"}},

	// What must meet meets here.
	{"cmd/internal/cli", []string{"agents/api"}},
	{"cmd/internal/demo", []string{"agents/api", "agents/apiclient"}},
	{"cmd/internal/scaffold", []string{".", "plugins", "plugins/store", "plugins/toolchain", "wasmabi"}},
	{"cmd/internal/rehearse/report", nil},
	{"cmd/internal/rehearse", []string{"cmd/internal/rehearse/report", "host", "wasmabi"}},
	{"cmd/edgehold", []string{
		"agents/api", "agents/apiclient", "agents/apiserver/token", "agents/doctor", "cmd/internal/cli", "cmd/internal/rehearse/report", "cmd/internal/scaffold", "host/extism/helper", "lwm2m", "plugins", "plugins/anatomy", "plugins/bundle", "plugins/delta", "plugins/parcel", "plugins/registry", "plugins/rollout", "plugins/sign", "plugins/store", "plugins/toolchain", "sdf", "sdf/mqtt", "sdf/mqtt/shell", "wasmabi",
	}},
	{"cmd/edgehold-device", []string{"lwm2m/client", "lwm2m/device", "lwm2m/device/route", "lwm2m/durable", "lwm2m/fleet", "plugins/parcel"}},
	{"cmd/edgeholdd", []string{"agents/api", "agents/apiserver", "agents/node", "agents/node/config", "cmd/internal/rehearse", "host/...", "lwm2m/coap", "lwm2m/coap/dtls", "lwm2m/gateway", "lwm2m/model", "lwm2m/server", "lwm2m/server/bootstrap", "lwm2m/store", "mechanisms/cpufreq/trees", "plugins/parcel", "plugins/registry", "sdf/mqtt", "wasmabi"}},
	{"cmd/edgehold-plugin", []string{"host/...", "wasmabi"}},
	{"cmd/internal/...", []string{"..."}},
}

// testImports is what tests may import beside what their packages may, by the first rule that matches: doubles, oracles,
// and the other end.
var testImports = []rule{
	{"agents/state", []string{"agents/state/crashtest"}},
	{"agents/decision", []string{"agents/state/crashtest"}},
	{"lwm2m/store", []string{"agents/state/crashtest"}},
	{"lwm2m/server", []string{"agents/state/crashtest", "lwm2m/coap/dtls"}},
	{"agents/apiserver", []string{"agents/apiclient", "agents/apiserver/apiservertest", "wasmabi"}},
	{"agents/node", []string{"agents/node/plug/plugtest", "lwm2m/device/knob", "plugins", "plugins/pluginstest", "sdf/mqtt"}}, // devices, and a gateway for them
	{"agents/proxy", []string{"lwm2m/device/knob", "mechanisms/drivertest"}},                                                  // the shell that devices have
	{"sdf/mqtt/shell", []string{"lwm2m/device/knob"}},                                                                         // the shell that answers
	{"cmd/edgehold", []string{"agents/apiserver", "agents/apiserver/apiservertest", "lwm2m/device/knob", "lwm2m/model", "plugins/rollout", "sdf/oma"}},
	{"cmd/edgeholdd", []string{"agents/apiserver/apiservertest", "cmd/internal/e2e/port", "lwm2m", "lwm2m/client", "lwm2m/device/machine", "plugins/store"}},
	{"cmd/internal/rehearse", []string{"plugins/pluginstest", "plugins/toolchain"}},
	{"cmd/internal/scaffold", []string{"plugins/pluginstest"}},
	{"examples", []string{"examples/08-tinyml-vibration/...", "host", "plugins/pluginstest", "plugins/toolchain", "wasmabi"}},
	{"examples/...", []string{"sdk/go/adaptertest", "sdk/go/policytest", "sdk/go/workloadtest", "wasmabi"}},
	{"sdk/go/adapter", []string{"sdk/go/adaptertest"}},
	{"agents/node/adapter", []string{"agents/node/plug/plugtest", "mechanisms/drivertest", "plugins", "plugins/pluginstest"}},
	{"host/internal/rewrite", []string{"host/internal/wasm/wasmtest", "plugins/pluginstest", "wasmabi"}},
	{"host/internal/wasm", []string{"host/internal/wasm/wasmtest"}},
	{"host/extism", []string{"host/record", "plugins/pluginstest", "plugins/toolchain"}},
	{"host", []string{"host/internal/...", "plugins/pluginstest", "plugins/toolchain"}},
	{"host/...", []string{"host/internal/...", "plugins/pluginstest"}},
	{"mechanisms/...", []string{"mechanisms/..."}},
	{"lwm2m/device", []string{"agents/proxy", "lwm2m/client/clienttest", "lwm2m/model", "lwm2m/server/...", "plugins", "plugins/pluginstest", "sdf/oma"}}, // the other end, and who speaks of devices elsewhere
	{"lwm2m/gateway", []string{"lwm2m/client", "lwm2m/device/...", "wasmabi"}},                                                                            // a real device
	{"cmd/edgehold-device", []string{"lwm2m", "lwm2m/coap", "lwm2m/server", "plugins/pluginstest"}},
	{"lwm2m/device/runner", []string{"lwm2m/client", "plugins", "plugins/pluginstest"}},
	{"lwm2m/device/route", []string{"sdf/mqtt", "lwm2m/client/clienttest"}}, // a real broker
	{"lwm2m/device/...", []string{"lwm2m/client/clienttest"}},
	{"lwm2m/client", []string{"lwm2m/client/clienttest", "lwm2m/device/...", "lwm2m/server/...", "plugins/parcel"}}, // the other end, and what hangs on this one
	{"plugins/registry", []string{"plugins/registry/registrytest", "wasmabi"}},
	{"telemetry/...", []string{"telemetry/..."}},
	{"lwm2m/fleet", []string{"lwm2m", "lwm2m/server", "lwm2m/store"}}, // who it is a fleet for
}

// doubles are for tests alone, and for what measures: no program links them.
var doubles = []string{
	"agents/apiserver/apiservertest", "agents/node/plug/plugtest", "agents/state/crashtest", "cmd/internal/e2e/port", "host/internal/wasm/wasmtest", "lwm2m/client/clienttest", "mechanisms/drivertest", "mechanisms/internal/fakesysfs",
	"plugins/pluginstest", "plugins/registry/registrytest", "sdk/go/adaptertest", "sdk/go/policytest", "sdk/go/workloadtest",
}

// only names the packages that may import a module of others; nobody else may, in tests neither.
var only = []struct {
	module    string
	importers []string
}{
	{"github.com/tetratelabs/wazero", []string{"host/...", "cmd/internal/bench/..."}},
	{"github.com/extism/go-sdk", []string{"cmd/internal/bench", "cmd/edgehold-plugin", "host/extism"}}, // the last has it as an oracle, in tests
	{"oras.land/oras-go", []string{"plugins/registry"}},
	{"github.com/opencontainers/image-spec", []string{"plugins/registry", "plugins/bundle"}},
	{"modernc.org/sqlite", []string{"agents/state"}},
	{"go.opentelemetry.io/otel", []string{"telemetry/..."}},
	{"google.golang.org/grpc", []string{"telemetry/..."}},
	{"github.com/prometheus/prometheus", []string{"telemetry/..."}},
	{"github.com/prometheus/procfs", []string{"telemetry/..."}},
	{"github.com/danielgtaylor/huma", []string{"agents/apiserver"}},
	{"github.com/spf13/cobra", []string{"cmd/..."}},
	{"github.com/theupdateframework/go-tuf", []string{"plugins/sign"}},
	{"github.com/hanwen/go-fuse", []string{"mechanisms/internal/fakesysfs"}},
	{"github.com/pion", []string{"lwm2m/coap/dtls", "cmd/internal/bench"}},
	{"github.com/plgd-dev/go-coap", []string{"lwm2m/coap", "cmd/internal/bench"}}, // the codec there, its server here
	{"github.com/santhosh-tekuri/jsonschema", []string{"sdf"}},
	{"github.com/mochi-mqtt/server", []string{"sdf/mqtt"}},
	{"github.com/eclipse/paho.golang", []string{"lwm2m/device/route", "sdf/mqtt"}},
	{"k8s.io", nil},
	{"sigs.k8s.io/controller-runtime", nil},
}

// never lists what a program must not link, however indirectly.
var never = []struct {
	program string
	modules []string
}{
	{"cmd/edgeholdd", slices.Concat(forTests, []string{
		"k8s.io", "github.com/prometheus/prometheus/tsdb/index", "github.com/extism/go-sdk",
	})},
	{"cmd/edgehold", slices.Concat(forTests, []string{
		"k8s.io", "github.com/tetratelabs/wazero", "modernc.org/sqlite", "go.opentelemetry.io/otel", "google.golang.org/grpc",
		"github.com/danielgtaylor/huma",
	})},
	{"cmd/edgehold-device", slices.Concat(forTests, []string{ // what a machine of a few megabytes has no room for
		"k8s.io", "modernc.org/sqlite", "go.opentelemetry.io/otel", "google.golang.org/grpc", "github.com/danielgtaylor/huma", "github.com/mochi-mqtt/server",
		"github.com/theupdateframework/go-tuf", "github.com/extism/go-sdk",
	})},
	{"cmd/edgehold-plugin", slices.Concat(forTests, []string{
		"k8s.io", "modernc.org/sqlite", "google.golang.org/grpc", "github.com/danielgtaylor/huma",
	})},
}

// forTests are modules and packages that only tests, and what measures, may need.
var forTests = []string{
	"testing", "github.com/google/go-cmp", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/rogpeppe/go-internal",
	"github.com/hanwen/go-fuse",
}

// vague are names that say nothing of what a package is for.
var vague = []string{"util", "utils", "common", "types", "models", "helpers", "misc", "base", "lib"}
