package durable

import (
	"os"
	"path/filepath"
	"testing"
)

func TestReplaceLeavesTheOldOrTheNew(t *testing.T) {
	type powerCut struct{}
	name := filepath.Join(t.TempDir(), "state")
	for _, at := range []string{"written state", "synced state", "renamed state", ""} {
		if err := Replace(name, []byte("old")); err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if p := recover(); p != nil && p != (powerCut{}) {
					panic(p)
				}
			}()
			if err := ReplaceInSteps(name, []byte("new"), func(step string) {
				if step == at {
					panic(powerCut{})
				}
			}); err != nil {
				t.Error(err)
			}
		}()
		want := map[bool]string{true: "new", false: "old"}[at == "renamed state" || at == ""]
		if got, err := Read(name, 3); string(got) != want || err != nil {
			t.Errorf("after %q: %q, %v, want %q", at, got, err, want)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(name)); len(left) != 1 {
		t.Errorf("half a file stays: %v", left)
	}
}

func TestReadIsBounded(t *testing.T) {
	name := filepath.Join(t.TempDir(), "state")
	if err := Replace(name, []byte("1234")); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(name, 3); err == nil {
		t.Errorf("got %q", got)
	}
	if _, err := Read(name+"x", 3); !os.IsNotExist(err) {
		t.Errorf("got %v", err)
	}
}
