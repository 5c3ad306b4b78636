package sign_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/plugins/sign"
)

const year = 365 * 24 * time.Hour

// TestAttacks plays the attacks that TUF and Uptane name. Each begins with a node that believes version 1.0.0 of boost, and
// ends with one that does so still, whatever it was served.
func TestAttacks(t *testing.T) {
	const images, director = sign.ImagesFolder, sign.DirectorFolder + "/" + nodeName
	tests := []struct {
		name   string
		attack func(w *world, first sign.Files) (served sign.Source)
		code   string // of the update
		then   string // the code of verifying 2.0.0, which is sign.not-listed unless said otherwise
	}{
		{name: "arbitrary module", attack: func(w *world, first sign.Files) sign.Source { return first }},
		{
			name: "arbitrary metadata: a changed digest", code: sign.CodeWrongKey,
			attack: func(w *world, _ sign.Files) sign.Source {
				w.add("boost", "1.5.0")
				files := w.published()
				name := newest(files, images, "targets")
				files[name] = bytes.Replace(files[name], []byte(digest("boost", "1.5.0")[len("sha256:"):]), []byte(digest("boost", "2.0.0")[len("sha256:"):]), 1)
				return files
			},
		},
		{
			name: "metadata by a repository of the attacker's own", code: sign.CodeWrongKey,
			attack: func(w *world, _ sign.Files) sign.Source {
				other := newWorld(w.t, sign.InitOptions{})
				other.add("boost", "2.0.0")
				return other.published()
			},
		},
		{
			name: "rollback of everything", code: sign.CodeRolledBack, then: sign.CodeNotListed,
			attack: func(w *world, first sign.Files) sign.Source {
				w.add("other", "1.0.0")
				w.accept(w.published())
				return first
			},
		},
		{
			name: "rollback of the timestamp alone", code: sign.CodeRolledBack,
			attack: func(w *world, first sign.Files) sign.Source {
				w.add("other", "1.0.0")
				w.accept(w.published())
				return with(w.published(), first, images+"/timestamp.json")
			},
		},
		{
			name: "rollback after a restart", code: sign.CodeRolledBack,
			attack: func(w *world, first sign.Files) sign.Source {
				w.add("other", "1.0.0")
				w.accept(w.published())
				w.restart(sign.Options{})
				return first
			},
		},
		{
			name: "rollback of the director", code: sign.CodeRolledBack,
			attack: func(w *world, first sign.Files) sign.Source {
				_, err := w.repo.Refresh()
				w.must(err)
				w.accept(w.published())
				return with(w.published(), first, director+"/timestamp.json")
			},
		},
		{
			name: "freeze: the same files until they expire", code: sign.CodeExpired, then: sign.CodeNotListed,
			attack: func(w *world, first sign.Files) sign.Source {
				w.add("boost", "2.0.0")
				w.pass(31 * 24 * time.Hour)
				return first
			},
		},
		{
			name: "mix-and-match: a snapshot of another release under its name", code: sign.CodeMixed,
			attack: func(w *world, first sign.Files) sign.Source {
				w.add("boost", "2.0.0")
				files := w.published()
				files[newest(files, images, "snapshot")] = first[newest(first, images, "snapshot")]
				return files
			},
		},
		{
			name: "mix-and-match: a list of another release under its name", code: sign.CodeMixed,
			attack: func(w *world, first sign.Files) sign.Source {
				w.add("boost", "2.0.0")
				files := w.published()
				files[newest(files, images, "targets")] = first[newest(first, images, "targets")]
				return files
			},
		},
		{
			name: "a file that the snapshot names is withheld", code: sign.CodeMixed,
			attack: func(w *world, _ sign.Files) sign.Source {
				w.add("boost", "2.0.0")
				files := w.published()
				delete(files, newest(files, images, "targets"))
				return files
			},
		},
		{
			name: "everything is withheld", code: sign.CodeNoMetadata,
			attack: func(*world, sign.Files) sign.Source { return sign.Files{} },
		},
		{
			name: "the source does not answer", code: sign.CodeUnreachable,
			attack: func(*world, sign.Files) sign.Source { return failing{errStall} },
		},
		{
			name: "endless data", code: sign.CodeTooLarge,
			attack: func(*world, sign.Files) sign.Source { return endless{} },
		},
		{
			name: "a timestamp longer than it may be", code: sign.CodeTooLarge,
			attack: func(w *world, first sign.Files) sign.Source {
				return with(first, sign.Files{images + "/timestamp.json": bytes.Repeat([]byte(" "), 17<<10)}, images+"/timestamp.json")
			},
		},
		{
			name: "a torn timestamp", code: sign.CodeMalformed,
			attack: func(w *world, first sign.Files) sign.Source {
				name := images + "/timestamp.json"
				return with(first, sign.Files{name: first[name][:len(first[name])/2]}, name)
			},
		},
		{
			name: "the director's timestamp as that of the images", code: sign.CodeWrongRepository,
			attack: func(w *world, first sign.Files) sign.Source {
				name := images + "/timestamp.json"
				return with(first, sign.Files{name: first[director+"/timestamp.json"]}, name)
			},
		},
		{
			name: "another node's assignments", code: sign.CodeWrongNode,
			attack: func(w *world, _ sign.Files) sign.Source {
				w.must(w.repo.Assign("node-8", []sign.Wanted{{Name: "boost", Version: "1.0.0"}}))
				files := w.published()
				for name, content := range files {
					if own, ok := strings.CutPrefix(name, "director/node-8/"); ok {
						files[director+"/"+own] = content
					}
				}
				return files
			},
		},
		{
			name: "a root that skips a version", code: sign.CodeRolledBack,
			attack: func(w *world, first sign.Files) sign.Source {
				w.rotate(w.rotate("timestamp"))
				files := w.published()
				files[images+"/2.root.json"] = files[images+"/3.root.json"]
				return files
			},
		},
		{
			name: "metadata of a key that was revoked", code: sign.CodeWrongKey, then: sign.CodeNoMetadata,
			attack: func(w *world, first sign.Files) sign.Source {
				w.rotate("timestamp")
				files := w.published()
				return with(files, first, images+"/timestamp.json")
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sign.InitOptions{})
			first := w.published()
			w.accept(first)
			voucher, err := w.node.Verify(digest("boost", "1.0.0"), int64(len(module("boost", "1.0.0"))))
			w.must(err)
			w.must(w.node.Keep(voucher))

			w.want("update", code(w.update(test.attack(w, first))), test.code)

			if test.then == "" {
				test.then = sign.CodeNotListed
			}
			w.want("verify what was not accepted", w.verify("boost", "2.0.0"), test.then)
			if _, ok := w.node.Installed(digest("boost", "1.0.0")); !ok {
				t.Error("what was installed is not any more")
			}
		})
	}
}

type endless struct{}

// Metadata gives as much as it is asked for, and one byte more.
func (endless) Metadata(_ context.Context, _ string, limit int64) ([]byte, error) {
	return bytes.Repeat([]byte("["), int(limit)+1), nil
}

// rotate replaces the key of a name, with the keys at hand, and returns the name of the new one.
func (w *world) rotate(name string) string {
	w.t.Helper()
	id, err := w.repo.FindKey(name)
	w.must(err)
	next, err := sign.NewKey(name + "-next")
	w.must(err)
	w.must(next.Save(w.keys()))
	left, err := w.repo.RotateKey(id, next.Public())
	w.must(err)
	if len(left) > 0 {
		w.t.Fatalf("the new root lacks signatures: %v", left)
	}
	w.must(os.Remove(filepath.Join(w.keys(), name+sign.PrivateSuffix)))
	return next.Name
}

// TestDirectorAndImagesDisagree has a thief of the director's key name modules as he likes.
func TestDirectorAndImagesDisagree(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sign.InitOptions{})
	w.add("boost", "2.0.0")
	w.must(w.repo.Assign(nodeName, []sign.Wanted{{Name: "boost", Version: "2.0.0"}}))
	files := w.published()
	withoutTheImages := with(files, nil)
	w.must(w.node.Update(context.Background(), sign.Under(withoutTheImages, sign.ImagesFolder), sign.Under(withoutTheImages, sign.DirectorFolder)))
	if all, err := w.node.Assigned(); err != nil || len(all) != 1 || all[0].Version != "2.0.0" {
		t.Fatalf("assigned %v, %v", all, err)
	}

	_, err := w.repo.Revoke("boost", "2.0.0", "it boosts too much")
	w.must(err)
	images := sign.Under(w.published(), sign.ImagesFolder)
	w.must(w.node.Update(context.Background(), images, nil))
	_, err = w.node.Assigned()
	w.want("assigned", code(err), sign.CodeDisagree)
	if !errors.As(err, new(*sign.Error)) || !strings.Contains(err.Error(), "it boosts too much") {
		t.Errorf("the error does not say why: %v", err)
	}
	w.accept(w.published())
	all, err := w.node.Assigned()
	if err != nil || len(all) != 0 {
		t.Errorf("after the withdrawal the node is assigned %v, %v", all, err)
	}
	w.want("verify what was withdrawn", w.verify("boost", "2.0.0"), sign.CodeRevoked)
}

// TestThreshold needs two of three root keys; one alone can't change anything.
func TestThreshold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sign.InitOptions{RootKeys: 3, Threshold: 2})
	w.accept(w.published())
	away := t.TempDir()
	for _, name := range []string{"root-2.key", "root-3.key"} {
		w.must(os.Rename(filepath.Join(w.keys(), name), filepath.Join(away, name)))
	}
	id, err := w.repo.FindKey("timestamp")
	w.must(err)
	next, err := sign.NewKey("timestamp-2")
	w.must(err)
	w.must(next.Save(w.keys()))
	left, err := w.repo.RotateKey(id, next.Public())
	w.must(err)
	if len(left) != 1 || left[0].Met() {
		t.Fatalf("one signature of two published a root: %+v", left)
	}

	ceremony, err := w.repo.Export()
	w.must(err)
	half, err := ceremony.Bytes()
	w.must(err)
	w.want("a root with half of its signatures, served", code(w.update(withRoot(w, half))), sign.CodeThreshold)

	w.carry(half, filepath.Join(away, "root-3.key"))
	w.accept(w.published())
	if got := w.node.Status().Images[0].Version; got != 2 {
		t.Errorf("the node believes root %d, want 2", got)
	}
}

// carry signs what was exported on a machine that has only a key file, and brings it back.
func (w *world) carry(exported []byte, keyFile string) {
	w.t.Helper()
	elsewhere, err := sign.ParseCeremony(exported)
	w.must(err)
	key, err := sign.LoadKey(keyFile)
	w.must(err)
	w.must(elsewhere.Sign(key))
	raw, err := elsewhere.Bytes()
	w.must(err)
	back, err := sign.ParseCeremony(raw)
	w.must(err)
	left, err := w.repo.Import(back)
	w.must(err)
	if len(left) > 0 {
		w.t.Fatalf("signatures are still missing: %+v", left)
	}
}

// TestTheThiefOfOnlineKeysIsRecoveredFrom has snapshot and timestamp keys stolen, and version numbers set out of reach.
func TestTheThiefOfOnlineKeysIsRecoveredFrom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sign.InitOptions{})
	w.accept(w.published())

	thief := stolen(w)
	for range 12 { // fast-forward
		thief.now = thief.now.Add(time.Hour)
		_, err := thief.repo.Refresh()
		thief.must(err)
	}
	thief.now = start.Add(50 * year) // and the time with it
	_, err := thief.repo.Refresh()
	thief.must(err)
	byThief := w.node.Update(context.Background(), sign.Under(thief.published(), sign.ImagesFolder), nil)
	w.want("what the thief says, when no root is good any more", code(byThief), sign.CodeExpired)
	_, err = w.repo.Refresh()
	w.must(err)
	w.want("what the operator says, after the theft", code(w.update(w.published())), sign.CodeRolledBack)

	w.rotate("timestamp")
	w.rotate("snapshot")
	w.add("boost", "2.0.0")
	w.accept(w.published())
	w.want("verify after the keys were replaced", w.verify("boost", "2.0.0"), "")
	w.want("what the thief says now", code(w.node.Update(context.Background(), sign.Under(thief.published(), sign.ImagesFolder), nil)), sign.CodeWrongKey)
}

// stolen is a copy of the operator's folder without the root keys.
func stolen(w *world) *world {
	dir := w.t.TempDir()
	w.must(os.CopyFS(dir, os.DirFS(w.dir)))
	w.must(os.Remove(filepath.Join(dir, "private", "root-1.key")))
	keys, err := filepath.Glob(filepath.Join(dir, "private", "*.key"))
	w.must(err)
	for _, path := range keys {
		w.must(os.Chmod(path, 0o600))
	}
	thief := &world{t: w.t, now: w.now, dir: dir}
	thief.repo, err = sign.OpenRepository(dir, thief.keys(), func() time.Time { return thief.now })
	w.must(err)
	return thief
}

func withRoot(w *world, exported []byte) sign.Source {
	files := w.published()
	c, err := sign.ParseCeremony(exported)
	w.must(err)
	name, content, err := sign.FirstDocument(c)
	w.must(err)
	files[sign.ImagesFolder+"/"+name] = content
	return files
}

// TestClocks has nodes without a clock, and with wrong ones.
func TestClocks(t *testing.T) {
	epoch, far := time.Unix(0, 0), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		name          string
		clock         time.Time
		ignore        bool
		update        string
		verify, later string // at once; after 40 days without news
	}{
		{"right", start, false, "", "", sign.CodeExpired},
		{"1970", epoch, false, "", "", sign.CodeExpired},
		{"2100", far, false, sign.CodeExpired, sign.CodeExpired, sign.CodeExpired},
		{"2100, not asked", far, true, "", "", sign.CodeExpired},
		{"1970, not asked", epoch, true, "", "", sign.CodeExpired},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sign.InitOptions{})
			w.clock = test.clock
			o := sign.Options{IgnoreClock: test.ignore}
			w.restart(o)
			w.want("update", code(w.update(w.published())), test.update)
			w.want("verify", w.verify("boost", "1.0.0"), test.verify)
			w.pass(40 * 24 * time.Hour)
			w.want("verify later", w.verify("boost", "1.0.0"), test.later)

			w.clock = test.clock // which starts over at each boot
			w.add("boost", "2.0.0")
			_, err := w.repo.Refresh()
			w.must(err)
			w.want("update again", code(w.update(w.published())), test.update)
			w.restart(o)
			w.want("verify after a restart", w.verify("boost", "2.0.0"), test.verify)

			w.clock = w.now // somebody sets the clock
			w.want("verify with the clock set", w.verify("boost", "2.0.0"), "")
		})
	}
}

// TestTimePassesWithoutAClock has a node that restarts often: what has passed is not forgotten at its next update.
func TestTimePassesWithoutAClock(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sign.InitOptions{})
	w.clock = time.Unix(0, 0)
	w.restart(sign.Options{})
	served := w.published()
	w.accept(served)
	for range 4 {
		w.want("verify", w.verify("boost", "1.0.0"), "")
		w.uptime += 8 * 24 * time.Hour
		_ = w.update(served)
		w.restart(sign.Options{})
	}
	w.want("verify after 32 days of running", w.verify("boost", "1.0.0"), sign.CodeExpired)
}

// TestTornMemory damages what the node keeps, in every way that a crash or a disk may.
func TestTornMemory(t *testing.T) {
	damage := map[string]func(path string) error{
		"emptied":  func(path string) error { return os.Truncate(path, 0) },
		"cut":      func(path string) error { return os.Truncate(path, 1000) },
		"removed":  os.Remove,
		"zeroed":   func(path string) error { return os.WriteFile(path, make([]byte, 3000), 0o600) },
		"one byte": flip,
	}
	for name, hurt := range damage {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sign.InitOptions{})
			first := w.published()
			w.accept(first)
			w.add("boost", "2.0.0")
			second := w.published()
			w.accept(second)
			w.add("boost", "3.0.0")
			w.accept(w.published())

			w.must(hurt(filepath.Join(w.state, "trusted.json")))
			w.restart(sign.Options{})
			w.want("verify what the update before had", w.verify("boost", "2.0.0"), "")
			w.want("rollback beyond that", code(w.update(first)), sign.CodeRolledBack)

			w.must(hurt(filepath.Join(w.state, "trusted.json")))
			w.must(hurt(filepath.Join(w.state, "trusted.json.before")))
			w.restart(sign.Options{})
			if name != "removed" && w.node.Status().Lost == "" {
				t.Error("the status does not say that the memory was lost")
			}
			w.accept(w.published())
			w.want("verify after an update", w.verify("boost", "3.0.0"), "")
		})
	}
}

func flip(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	raw[len(raw)/2] ^= 1
	return os.WriteFile(path, raw, 0o600)
}

// TestExposedKeysAreRefused and keys that are missing are asked for.
func TestExposedKeysAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sign.InitOptions{})
	w.must(os.Chmod(filepath.Join(w.keys(), "targets.key"), 0o644))
	_, err := w.repo.Add(sign.Module{Name: "a", Version: "1", Bytes: []byte("x")})
	w.want("add with a key that others may read", code(err), sign.CodeKey)
	w.must(os.Remove(filepath.Join(w.keys(), "targets.key")))
	_, err = w.repo.Add(sign.Module{Name: "a", Version: "1", Bytes: []byte("x")})
	w.want("add without the key", code(err), sign.CodeIncomplete)
	if errors.Is(err, fs.ErrNotExist) {
		t.Error("a file that is missing is not what is wrong")
	}
}
