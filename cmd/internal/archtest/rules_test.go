package archtest

// Paths are relative to the module; "x/..." stands for x and everything below it.

// folders are the only directories that may stand at the top of the repository.
var folders = []string{
	".ci", ".git", "agents", "cmd", "examples", "host", "lwm2m", "mechanisms", "plugins", "sdf", "sdk", "telemetry",
	"tools", "vkubelet", "wasmabi",
	"bin", ".cache", // made by the Makefile, not committed
}

// imports lists, for each package, which packages of ours it may import. The first rule that matches decides; a package
// that no rule names may import nothing of ours. Tests are held to the same rules with testImports added.
var imports = []struct {
	pkg string
	may []string
}{
	// Leaves: what everybody speaks.
	{"wasmabi", nil},
	{"agents/api", nil},
	{"telemetry/attr", nil},
	{"mechanisms", nil},
	{"sdk/go/policytest", []string{"sdk/go/...", "wasmabi"}},
	{"sdk/go/...", []string{"wasmabi", "sdk/go/..."}},

	// The host runs guests and knows nothing of what they decide.
	{"host/internal/...", []string{"wasmabi", "telemetry/attr", "host/internal/..."}},
	{"host/...", []string{"wasmabi", "telemetry/attr", "host/..."}},

	// The engine declares the interfaces that it needs.
	{"agents", nil},
	{"agents/state", nil},
	{"agents/decision", []string{"agents", "agents/state"}},
	{"agents/apiserver", []string{"agents/api", "agents/apiserver/token", "telemetry/attr"}},
	{"agents/apiserver/token", []string{"agents/api"}},
	{"agents/apiserver/apiservertest", []string{"agents/api", "agents/apiserver", "wasmabi"}},
	{"agents/apiclient", []string{"agents/api"}},
	{"agents/doctor", []string{"agents/api"}},
	{"agents/node", []string{
		"wasmabi", "host/...", "plugins/...", "agents/...", "mechanisms/...", "telemetry/...",
	}},

	{"mechanisms/...", []string{"mechanisms/..."}},
	{"telemetry/...", []string{"telemetry/..."}},
	{"plugins/...", []string{"wasmabi", "plugins/..."}},
	{"examples/...", []string{"sdk/go/..."}},

	// What must meet meets here.
	{"cmd/internal/cli", []string{"agents/api", "agents/apiclient"}},
	{"cmd/internal/scaffold", []string{".", "plugins/...", "wasmabi"}},
	{"cmd/edgehold", []string{
		"agents/api", "agents/apiclient", "agents/apiserver/token", "agents/doctor", "cmd/internal/cli", "cmd/internal/scaffold", "plugins/...", "wasmabi",
	}},
	{"cmd/...", []string{"..."}},
}

// testImports is what any test may use of ours besides what its package may: doubles and oracles.
var testImports = []string{
	"wasmabi", "host/internal/wasm/wasmtest", "mechanisms/...", "plugins/...", "cmd/internal/scaffold", "sdk/go/...",
	"agents/...", "host/...", "telemetry/...",
}

// only names the packages that may import a module of others; nobody else may. Tests may be looser where noted.
var only = []struct {
	module    string
	importers []string
	inTests   bool // the rule holds for tests too
}{
	{"github.com/tetratelabs/wazero", []string{"host/...", "cmd/internal/bench/..."}, true},
	{"github.com/extism/go-sdk", []string{"host/extism", "cmd/internal/bench/..."}, false},
	{"modernc.org/sqlite", []string{"agents/state"}, false},
	{"go.opentelemetry.io/otel", []string{"telemetry/..."}, true},
	{"google.golang.org/grpc", []string{"telemetry/..."}, false},
	{"github.com/prometheus/prometheus", []string{"telemetry/..."}, true},
	{"github.com/prometheus/procfs", []string{"telemetry/..."}, true},
	{"github.com/danielgtaylor/huma", []string{"agents/apiserver"}, false},
	{"github.com/spf13/cobra", []string{"cmd/..."}, true},
	{"github.com/hanwen/go-fuse", []string{"mechanisms/internal/..."}, true},
	{"k8s.io", nil, true},
	{"sigs.k8s.io/controller-runtime", nil, true},
}

// never lists what a program must not link, however indirectly.
var never = []struct {
	program string
	modules []string
}{
	{"cmd/edgeholdd", []string{
		"k8s.io/client-go", "github.com/prometheus/prometheus/tsdb/index", "github.com/hanwen/go-fuse", "github.com/extism/go-sdk",
	}},
	{"cmd/edgehold", []string{
		"k8s.io", "github.com/tetratelabs/wazero", "modernc.org/sqlite", "go.opentelemetry.io/otel", "google.golang.org/grpc",
	}},
}

// vague are names that say nothing of what a package is for.
var vague = []string{"util", "utils", "common", "types", "models", "helpers", "misc", "base", "lib"}
