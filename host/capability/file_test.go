package capability

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// machine is a tree with LEDs as sysfs has them: classes of links to devices.
func machine(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"sys/devices/platform/leds/leds/red/brightness":       "0\n",
		"sys/devices/platform/leds/leds/green/brightness":     "255\n",
		"sys/devices/platform/leds/leds/green/max_brightness": "255\n",
		"etc/passwd":          "root\n",
		"run/plug/lamp.json":  "{}",
		"run/other/lamp.json": "{}",
	} {
		full := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "../../devices/platform/leds/leds/red", root, "sys/class/leds/red")
	link(t, "../../devices/platform/leds/leds/green", root, "sys/class/leds/green")
	return root
}

func link(t *testing.T, to, root, name string) {
	t.Helper()
	full := filepath.Join(root, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.Symlink(to, full)); err != nil {
		t.Fatal(err)
	}
}

func files(write bool, paths ...string) wasmabi.CapabilityRequest {
	return wasmabi.CapabilityRequest{Name: "leds", Kind: "file", Paths: paths, Write: write, Bytes: 32}
}

func in(root string, r wasmabi.CapabilityRequest) Config {
	return Config{Root: root, Offers: []Offer{{Kind: "file", Paths: r.Paths, Write: r.Write}}}
}

func use(t *testing.T, r wasmabi.CapabilityRequest, c Config, op uint32, path, data string) (string, error) {
	t.Helper()
	out, err := open(t, r, c).Call(t.Context(), op, wasmabi.AppendFile(nil, &wasmabi.File{Path: path, Data: []byte(data)}), nil)
	return string(out), err
}

const brightness = "/sys/class/leds/*/brightness"

func TestFilesBehindTheLinksOfSysfs(t *testing.T) {
	root := machine(t)
	r := files(true, brightness, "/sys/class/leds/*/max_brightness")
	list, err := use(t, r, in(root, r), wasmabi.HandleFileList, brightness, "")
	var names wasmabi.Names
	if err := errors.Join(err, wasmabi.DecodeNames([]byte(list), &names)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/sys/class/leds/green/brightness", "/sys/class/leds/red/brightness"}; !slices.Equal(names.Names, want) {
		t.Errorf("got %v, want %v", names.Names, want)
	}
	if got, err := use(t, r, in(root, r), wasmabi.HandleFileRead, "/sys/class/leds/green/brightness", ""); got != "255\n" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := use(t, r, in(root, r), wasmabi.HandleFileWrite, "/sys/class/leds/green/brightness", "1\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := use(t, r, in(root, r), wasmabi.HandleFileRead, "/sys/class/leds/green/brightness", ""); got != "1\n" || err != nil {
		t.Errorf("a shorter value is followed by the rest of the old one: %q, %v", got, err)
	}
}

func TestFilesOutsideTheGrant(t *testing.T) {
	root := machine(t)
	link(t, "/etc/passwd", root, "run/plug/absolute.json")
	link(t, "../../etc/passwd", root, "run/plug/relative.json")
	link(t, "../other/lamp.json", root, "run/plug/sibling.json")
	link(t, "plug", root, "run/alias")
	link(t, "../../../../etc", root, "sys/class/leds/evil")
	if err := os.Symlink("passwd", filepath.Join(root, "etc/brightness")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "run/plug/pipe.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "run/plug/folder.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := files(false, brightness, "/run/plug/*.json", "/run/alias/lamp.json")
	for _, path := range []string{
		"/etc/passwd", "/run/other/lamp.json", "/run/plug/../other/lamp.json", "/run/plug/./lamp.json", "run/plug/lamp.json", "/run/plug/x/lamp.json",
		"/run/plug/absolute.json", "/run/plug/relative.json", "/run/plug/sibling.json", "/run/plug/pipe.json", "/run/plug/folder.json",
		"/run/alias/lamp.json", "/sys/class/leds/evil/brightness", "/run/plug/*.json", "/run/plug/none.json", "/run/plug/lamp.json\x00", "",
	} {
		t.Run(path, func(t *testing.T) {
			if got, err := use(t, r, in(root, r), wasmabi.HandleFileRead, path, ""); err == nil {
				t.Errorf("it reads %q", got)
			}
		})
	}
	if got, err := use(t, r, in(root, r), wasmabi.HandleFileRead, "/run/plug/lamp.json", ""); got != "{}" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	_, err := use(t, r, in(root, r), wasmabi.HandleFileWrite, "/run/plug/lamp.json", "x")
	wantCode(t, err, wasmabi.CodeNotGranted)
	_, err = use(t, r, Config{Root: root, Offers: []Offer{{Kind: "file", Paths: []string{brightness}}}}, wasmabi.HandleFileRead, "/run/plug/lamp.json", "")
	wantCode(t, err, wasmabi.CodeNotGranted)
	_, err = use(t, r, in(root, r), wasmabi.HandleFileList, "/run/*/lamp.json", "")
	wantCode(t, err, wasmabi.CodeNotGranted)
}

func TestFileBounds(t *testing.T) {
	root := machine(t)
	long := filepath.Join(root, "run/plug/long.json")
	if err := os.WriteFile(long, []byte(strings.Repeat("x", 33)), 0o644); err != nil {
		t.Fatal(err)
	}
	r := files(true, "/run/plug/*.json")
	_, err := use(t, r, in(root, r), wasmabi.HandleFileRead, "/run/plug/long.json", "")
	wantCode(t, err, wasmabi.CodeLimit)
	_, err = use(t, r, in(root, r), wasmabi.HandleFileWrite, "/run/plug/lamp.json", strings.Repeat("x", 33))
	wantCode(t, err, wasmabi.CodeLimit)
	_, err = use(t, r, in(root, r), wasmabi.HandleFileWrite, "/run/plug/new.json", "x")
	wantCode(t, err, wasmabi.CodeNotFound)
	if _, err := os.Stat(filepath.Join(root, "run/plug/new.json")); err == nil {
		t.Error("it made a file")
	}
}

// A write that hangs holds back those after it, and is over before any of them.
func TestAnAccessThatHangsHoldsBackTheNext(t *testing.T) {
	f := newFile(&wasmabi.CapabilityRequest{Kind: "file"}, Config{})
	free := make(chan struct{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := f.patiently(ctx, "write", nil, func() ([]byte, error) { <-free; return nil, nil })
	wantCode(t, err, wasmabi.CodeUnreached)
	_, err = f.patiently(ctx, "write", nil, func() ([]byte, error) { t.Error("overtaken"); return nil, nil })
	wantCode(t, err, wasmabi.CodeUnreached)
	close(free)
	if got, err := f.patiently(t.Context(), "read", nil, func() ([]byte, error) { return []byte("x"), nil }); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzFilePattern(f *testing.F) {
	if runtime.GOOS == "windows" {
		f.Skip("paths are those of Unix")
	}
	f.Add("/run/plug/../x.json")
	f.Add("/run/plug/a.json")
	p := newFile(&wasmabi.CapabilityRequest{Kind: "file", Paths: []string{"/run/plug/*.json"}}, Config{Offers: []Offer{{Kind: "file", Paths: []string{"/run/plug/*.json"}}}})
	f.Fuzz(func(t *testing.T, name string) {
		if _, err := p.pattern(name, false); err == nil {
			rest, ok := strings.CutPrefix(name, "/run/plug/")
			if !ok || strings.Contains(rest, "/") || !strings.HasSuffix(rest, ".json") {
				t.Errorf("%q is granted", name)
			}
		}
	})
}
