package kernel

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestInitramfsIsReadByCpio(t *testing.T) {
	if _, err := exec.LookPath("cpio"); err != nil {
		t.Skip("needs cpio")
	}
	var disk bytes.Buffer
	err := WriteInitramfs(&disk, []File{
		{Name: "init", Executable: true, Contents: []byte("#!")},
		{Name: "etc/a/one", Contents: []byte("1")},
		{Name: "etc/a/two", Contents: []byte("22")},
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cpio", "--list", "--verbose", "--numeric-uid-gid", "--quiet")
	cmd.Stdin = &disk
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var got []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		got = append(got, f[0]+" "+f[4]+" "+f[len(f)-1])
	}
	want := []string{
		"drwxr-xr-x 0 dev", "crw------- 5, dev/console", "drwxr-xr-x 0 root", "-rwxr-xr-x 2 init",
		"drwxr-xr-x 0 etc", "drwxr-xr-x 0 etc/a", "-rw-r--r-- 1 etc/a/one", "-rw-r--r-- 2 etc/a/two",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want -, got +\n%s", diff)
	}
}

// full is a disk without space.
type full struct{}

var errFull = errors.New("no space")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestInitramfsReportsTheFirstError(t *testing.T) {
	if err := WriteInitramfs(full{}, nil); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}
