package sign_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/edgehold/edgehold/plugins/sign"
)

const crashEnv = "EDGEHOLD_TEST_SIGN_CRASH"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Println("failed", err)
		}
		return
	}
	os.Exit(m.Run())
}

// crashChild takes in one release after the other, and says which timestamp it believes once it was told so.
func crashChild(dir string) error {
	pin, err := os.ReadFile(filepath.Join(dir, "pin.json"))
	if err != nil {
		return err
	}
	node, err := sign.Open(filepath.Join(dir, "state"), pin, sign.Options{Now: func() time.Time { return start }})
	if err != nil {
		return err
	}
	fmt.Println(believed(node))
	for release := range releases {
		err := node.Update(context.Background(), sign.Under(sign.Folder(filepath.Join(dir, strconv.Itoa(release))), sign.ImagesFolder), nil)
		if err != nil && sign.Code(err) != sign.CodeRolledBack {
			return err
		}
		fmt.Println(believed(node))
	}
	return nil
}

// releases is how many there are to be taken in.
const releases = 12

func believed(c *sign.Client) int64 {
	for _, r := range c.Status().Images {
		if r.Role == sign.Timestamp {
			return r.Version
		}
	}
	return 0
}

// TestKilledWhileItUpdates kills the node's process at any moment: what it believed then, it believes at the next start.
func TestKilledWhileItUpdates(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sign.InitOptions{})
	dir := t.TempDir()
	pin, err := os.ReadFile(w.repo.PinPath())
	w.must(err)
	w.must(os.WriteFile(filepath.Join(dir, "pin.json"), pin, 0o600))
	for release := range releases {
		w.add("boost", fmt.Sprintf("2.0.%d", release))
		w.must(os.CopyFS(filepath.Join(dir, strconv.Itoa(release)), os.DirFS(w.repo.Published())))
	}
	least := int64(0)
	for kill := range 10 {
		least = killAfter(t, dir, kill, least)
		w.must(os.WriteFile(filepath.Join(dir, "state", ".new-torn"), []byte("half"), 0o600))
	}
	if least < 2 {
		t.Errorf("after all kills the node believes timestamp %d: nothing was tried", least)
	}
}

// killAfter runs the child, kills it right after it has said lines more things, and returns the least that the next start
// has to believe.
func killAfter(t *testing.T, dir string, lines int, least int64) int64 {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), crashEnv+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for i := 0; i <= lines && said.Scan(); i++ {
		version, err := strconv.ParseInt(said.Text(), 10, 64)
		if err != nil {
			t.Fatalf("the child: %s", said.Text())
		}
		if version < least {
			t.Fatalf("after a kill: believes timestamp %d, it was %d", version, least)
		}
		least = version
	}
	_ = child.Process.Kill()
	for said.Scan() { // what it had said before the kill reached it counts too
		if version, err := strconv.ParseInt(said.Text(), 10, 64); err == nil {
			least = max(least, version)
		}
	}
	_ = child.Wait()
	return least
}
