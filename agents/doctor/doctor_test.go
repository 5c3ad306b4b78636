package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgehold/edgehold/agents/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestExamineReportsTheWorst(t *testing.T) {
	report := Examine(t.Context(), []Check{
		{"fine", func(context.Context) Result { return OK("%d", 1) }},
		{"broken", func(context.Context) Result { panic("oops") }},
		{"so-so", func(context.Context) Result { return Warn("do", "hm") }},
	})
	if report.Status != api.CheckFail || len(report.Checks) != 3 || report.Checks[1].Status != api.CheckFail ||
		!strings.Contains(report.Checks[1].Detail, "oops") || report.Checks[2].Hint != "do" {
		t.Errorf("got %+v", report)
	}
}

func TestExamineGoesOnWithoutACheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		report := Examine(t.Context(), []Check{
			{"hangs", func(context.Context) Result { <-release; return OK("") }},
			{"fine", func(context.Context) Result { return OK("") }},
		})
		close(release)
		if report.Checks[0].Status != api.CheckFail || report.Checks[1].Status != api.CheckOK {
			t.Errorf("got %+v", report)
		}
	})
}

// tree writes files below a folder of the test's own.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestGeneral(t *testing.T) {
	const cpu = "sys/devices/system/cpu/cpufreq/policy0/"
	whole := map[string]string{"proc/sys/kernel/osrelease": "6.12.48-v8+\n", "proc/1/comm": "systemd\n",
		cpu + "scaling_max_freq": "1800000\n", cpu + "scaling_driver": "cpufreq-dt\n"}
	with := func(name, text string) map[string]string {
		files := map[string]string{name: text}
		for n, v := range whole {
			if n != name {
				files[n] = v
			}
		}
		return files
	}
	for _, c := range []struct {
		name, check string
		files       map[string]string
		now         time.Time
		want        api.CheckStatus
		detail      string
	}{
		{"healthy kernel", "kernel", whole, builtAfter.Add(1), api.CheckOK, "6.12.48"},
		{"healthy cpufreq", "cpufreq", whole, builtAfter.Add(1), api.CheckOK, "1 policies of cpufreq-dt"},
		{"healthy clock", "clock", whole, builtAfter.Add(1), api.CheckOK, "2026"},
		{"alone", "power-managers", whole, builtAfter.Add(1), api.CheckOK, "no other"},
		{"memfd", "memfd", whole, builtAfter.Add(1), api.CheckOK, "works"},
		{"old kernel", "kernel", with("proc/sys/kernel/osrelease", "4.19.0-27-amd64\n"), builtAfter, api.CheckWarn, "older"},
		{"strange kernel", "kernel", with("proc/sys/kernel/osrelease", "next\n"), builtAfter, api.CheckWarn, "not understood"},
		{"no proc", "kernel", nil, builtAfter, api.CheckWarn, "unknown"},
		{"no cpufreq", "cpufreq", nil, builtAfter, api.CheckWarn, "no cpufreq policy"},
		{"clock at 1970", "clock", whole, time.Unix(0, 0), api.CheckWarn, "1970"},
		{"tuned", "power-managers", with("proc/77/comm", "tuned\n"), builtAfter, api.CheckWarn, "tuned runs"},
		{"ppd", "power-managers", with("proc/78/comm", "power-profiles-\n"), builtAfter, api.CheckWarn, "runs"},
		{"state folder missing", "state-folder", nil, builtAfter, api.CheckFail, "can't be written"},
		{"no socket", "socket", nil, builtAfter, api.CheckFail, "there is no socket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Machine{Root: tree(t, c.files), Socket: "/nonexistent/s", State: "/nonexistent", Now: func() time.Time { return c.now }}
			got := run(t, General(m), c.check)
			if got.Status != c.want || !strings.Contains(got.Detail, c.detail) || got.Status != api.CheckOK && got.Hint == "" {
				t.Errorf("got %+v, want %s with %q and a hint", got, c.want, c.detail)
			}
		})
	}
}

func run(t *testing.T, checks []Check, name string) Result {
	t.Helper()
	for _, check := range checks {
		if check.Name == name {
			return check.Run(t.Context())
		}
	}
	t.Fatalf("there is no check %s", name)
	return Result{}
}

func TestSocketThatAnswers(t *testing.T) {
	dir, err := os.MkdirTemp("", "eh")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	m := Machine{Socket: path, State: dir}
	if got := run(t, General(m), "socket"); got.Status != api.CheckOK {
		t.Errorf("listening: %+v", got)
	}
	l.Close()
	if got := run(t, General(m), "socket"); got.Status != api.CheckFail || !strings.Contains(got.Detail, "nobody") {
		t.Errorf("dead: %+v", got)
	}
	if got := run(t, General(m), "state-folder"); got.Status != api.CheckOK {
		t.Errorf("folder: %+v", got)
	}
	if got := run(t, General(m), "disk-space"); got.Detail == "" {
		t.Errorf("space: %+v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".doctor-*")); left != nil {
		t.Errorf("left behind %v", left)
	}
}

func ExampleExamine() {
	report := Examine(context.Background(), []Check{{"answer", func(context.Context) Result { return OK("%d", 42) }}})
	fmt.Println(report.Status, report.Checks[0].Detail)
	// Output: ok 42
}
