package firmware

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/client/clienttest"
	"github.com/edgehold/edgehold/plugins/parcel"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// image makes a signed parcel of some size.
func image(t testing.TB, version, kind string, size int, signer ed25519.PrivateKey) []byte {
	t.Helper()
	return counted(t, version, kind, size, signer, 1)
}

func counted(t testing.TB, version, kind string, size int, signer ed25519.PrivateKey, counter uint64) []byte {
	t.Helper()
	body := bytes.Repeat([]byte{0xf1}, size)
	seal, err := parcel.Seal(parcel.Statement{
		Name: "board", Version: version, Kind: kind, Digest: sha256.Sum256(body), Length: uint64(size), Counter: counter, Devices: "*",
	}, signer)
	if err != nil {
		t.Fatal(err)
	}
	p, err := parcel.Pack(seal, body)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// rig is a device's firmware update with its disk, over several lives.
type rig struct {
	*Update
	t       testing.TB
	dir     string
	store   client.Store
	hook    *Hook
	fetcher Fetcher
	end     func()
}

func newRig(t testing.TB) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{t: t, dir: dir, store: client.Folder(dir), hook: &Hook{
		Trust: parcel.Trust{Keys: []ed25519.PublicKey{key.Public().(ed25519.PublicKey)}, Device: "dev"}, Version: "1.0",
		Command: []string{"/bin/sh", "-c", `cp "$1" ` + filepath.Join(dir, "running"), "hook"},
	}}
	return r
}

// boot begins a life.
func (r *rig) boot() {
	r.t.Helper()
	var err error
	if r.Update, err = New(Config{Dir: r.dir, Store: r.store, Updater: r.hook, Fetcher: r.fetcher, MaxImage: 1 << 20}); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = r.Run(ctx)
	}()
	r.end = func() {
		cancel()
		<-ended
	}
	r.t.Cleanup(r.end)
}

// push sends an image from an offset to its end, in blocks.
func (r *rig) push(data []byte, from int) error { return r.part(data, from, len(data)) }

func (r *rig) part(data []byte, from, to int) error {
	const block = 1024
	for at := from; at < to; at += block {
		part := data[at:min(at+block, len(data))]
		err := r.WriteBlock(lwm2m.PathOf(5, 0, 0), client.Block{Offset: int64(at), Data: part, Last: at+block >= len(data)})
		if err != nil {
			return fmt.Errorf("at %d: %w", at, err)
		}
	}
	return nil
}

func (r *rig) status() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d/%d", r.record.State, r.record.Result)
}

// patience is how long a test waits for what others bring about, on a machine that has other work.
const patience = time.Minute

// settled waits until nothing goes on, or the power is gone.
func (r *rig) settled() string {
	r.t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) { // polled: another process works
		f, ok := r.store.(*faulty)
		if s := r.status(); s[0] != '3' || ok && f.cut.Load() {
			return s
		}
	}
	return r.status()
}

func (r *rig) do(resource uint16) error { return r.Execute(lwm2m.PathOf(5, 0, resource), "") }

func (r *rig) write(resource uint16, v lwm2m.Value) error {
	p := lwm2m.PathOf(5, 0, resource)
	return r.Update.Write(p, lwm2m.Tree{{Path: p, Value: v}}, client.Replace)
}

func TestUpdate(t *testing.T) {
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, ed25519.SeedSize))
	good := image(t, "2.0", Kind, 5000, key)
	altered := bytes.Clone(good)
	altered[len(altered)-1] ^= 1
	tests := []struct {
		name string
		run  func(r *rig) error
		want string // state/result at the end
		err  error
	}{
		{"nothing yet", func(*rig) error { return nil }, "0/0", nil},
		{"pushed", func(r *rig) error { return r.push(good, 0) }, "2/0", nil},
		{"not from its beginning", func(r *rig) error { return r.push(good, 1024) }, "0/0", client.ErrIncomplete},
		{"with a gap", func(r *rig) error { return errors.Join(r.part(good, 0, 2048), r.push(good, 4096)) }, "1/0", client.ErrIncomplete},
		{"applied", func(r *rig) error { return errors.Join(r.push(good, 0), r.do(resourceUpdate)) }, "0/1", nil},
		{"applied by itself", func(r *rig) error {
			return errors.Join(r.write(resourceAutomatic, lwm2m.Boolean(true)), r.push(good, 0))
		}, "0/1", nil},
		{"applied with a broken program", func(r *rig) error {
			r.hook.Command = []string{"/bin/false"}
			return errors.Join(r.push(good, 0), r.do(resourceUpdate))
		}, "0/8", nil},
		{"applied before it is there", func(r *rig) error { return r.do(resourceUpdate) }, "0/0", client.ErrNotAllowed},
		{"unsigned", func(r *rig) error { return r.push(image(t, "2.0", Kind, 10, other), 0) }, "0/5", nil},
		{"altered", func(r *rig) error { return r.push(altered, 0) }, "0/5", nil},
		{"truncated", func(r *rig) error { return r.push(good[:len(good)-1], 0) }, "0/5", nil},
		{"garbage", func(r *rig) error { return r.push(bytes.Repeat([]byte("no parcel"), 300), 0) }, "0/5", nil},
		{"of another kind", func(r *rig) error { return r.push(image(t, "2.0", "workload", 10, key), 0) }, "0/6", nil},
		{"too large", func(r *rig) error { return r.push(make([]byte, 2<<20), 0) }, "0/2", client.ErrTooLarge},
		{"announced too large", func(r *rig) error {
			return r.WriteBlock(lwm2m.PathOf(5, 0, 0), client.Block{Data: good[:1024], Size: 1 << 40})
		}, "0/2", client.ErrTooLarge},
		{"cancelled", func(r *rig) error { return errors.Join(r.push(good, 0), r.do(resourceCancel)) }, "0/10", nil},
		{"cancelled before anything", func(r *rig) error { return r.do(resourceCancel) }, "0/0", client.ErrNotAllowed},
		{"reset by an empty package", func(r *rig) error {
			return errors.Join(r.push(good, 0), r.WriteBlock(lwm2m.PathOf(5, 0, 0), client.Block{Data: []byte{0}, Last: true}))
		}, "0/0", nil},
		{"reset by an empty URI", func(r *rig) error { return errors.Join(r.push(good, 0), r.write(resourceURI, lwm2m.String(""))) }, "0/0", nil},
		{"pushed over another one", func(r *rig) error { return errors.Join(r.push(good, 0), r.push(good, 0)) }, "2/0", client.ErrNotAllowed},
		{"begun anew", func(r *rig) error {
			if err := r.WriteBlock(lwm2m.PathOf(5, 0, 0), client.Block{Data: good[:1024]}); err != nil {
				return err
			}
			return r.push(good, 0)
		}, "2/0", nil},
		{"URI that is none", func(r *rig) error { return r.write(resourceURI, lwm2m.String("%%")) }, "0/7", nil},
		{"URI without a fetcher", func(r *rig) error { return r.write(resourceURI, lwm2m.String("coap://h/x")) }, "0/9", nil},
		{"severity out of range", func(r *rig) error { return r.write(resourceSeverity, lwm2m.Integer(3)) }, "0/0", client.ErrBadRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.boot()
			if err := tt.run(r); !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
				t.Errorf("error %v, want %v", err, tt.err)
			}
			if got := r.settled(); got != tt.want {
				t.Errorf("state/result %s, want %s", got, tt.want)
			}
			clienttest.Object(t, r.Update)
			if tt.want[0] == '0' && r.stage.length() != 0 {
				t.Error("idle, and bytes of an image are left")
			}
			_, err := os.Stat(filepath.Join(r.dir, "running"))
			if applied := err == nil; applied != (tt.want == "0/1") {
				t.Errorf("applied: %v", applied)
			}
		})
	}
}

// faulty is a store whose device loses its power after some saves.
type faulty struct {
	client.Store
	left int
	cut  atomic.Bool
}

var errPower = errors.New("power is gone")

func (f *faulty) Save(name string, document []byte) error {
	if f.left == 0 {
		f.cut.Store(true)
		return errPower
	}
	f.left--
	return f.Store.Save(name, document)
}

// TestPowerCut takes the power away after each save of a whole update, and then lets the server begin again where the device says it is.
func TestPowerCut(t *testing.T) {
	good := image(t, "2.0", Kind, 5000, key)
	for saves := range 6 {
		t.Run(fmt.Sprint(saves, " saves"), func(t *testing.T) {
			r := newRig(t)
			whole := r.store
			r.store = &faulty{Store: whole, left: saves}
			r.boot()
			err := errors.Join(r.push(good, 0), r.do(resourceUpdate))
			if err == nil {
				r.settled()
			}
			r.end()
			r.store = whole
			r.hook.Version = "1.0"
			if running, err := os.ReadFile(filepath.Join(r.dir, "running")); err == nil && len(running) == 5000 {
				r.hook.Version = "2.0"
			}
			r.boot()
			finish(t, r, good)
		})
	}
}

// finish does what a server does that finds a device in some state, until it has the new version.
func finish(t *testing.T, r *rig, good []byte) {
	t.Helper()
	if r.hook.Version == "2.0" && r.settled() == "0/1" {
		return
	}
	var err error
	switch state := r.status(); state[0] {
	case '0':
		err = r.push(good, 0)
	case '1':
		err = r.push(good, max(0, int(r.stage.length()-1))/1024*1024) // the block whose answer did not come
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := r.do(resourceUpdate); err != nil {
		t.Fatal(err)
	}
	if got := r.settled(); got != "0/1" {
		t.Errorf("in the end %s", got)
	}
}

func TestPushGoesOnAfterAPowerCut(t *testing.T) {
	good := image(t, "2.0", Kind, 50_000, key)
	r := newRig(t)
	r.boot()
	if err := r.part(good, 0, 20*1024); err != nil {
		t.Fatal(err)
	}
	r.end()
	r.boot()
	if got := r.status(); got != "1/0" {
		t.Fatalf("after the power cut %s", got)
	}
	if err := r.push(good, 30*1024); !errors.Is(err, client.ErrIncomplete) {
		t.Errorf("a block too far: %v", err)
	}
	if err := r.push(good, 20*1024); err != nil {
		t.Fatal(err)
	}
	if got := r.settled(); got != "2/0" {
		t.Errorf("in the end %s", got)
	}
}

// What has run is not followed by what is older, over a restart neither; what only arrived counts for nothing.
func TestNoDowngrade(t *testing.T) {
	r := newRig(t)
	r.boot()
	for _, step := range []struct {
		version string
		counter uint64
		update  bool // and not only the download
		want    string
	}{
		{"2.0", 5, true, "0/1"}, {"1.9", 4, false, "0/6"}, {"2.0", 5, false, "2/0"}, {"3.0", 9, false, "2/0"}, {"2.1", 6, true, "0/1"}, {"2.0", 5, false, "0/6"},
	} {
		r.end()
		r.boot()
		if r.status()[0] == '2' {
			if err := r.do(resourceCancel); err != nil {
				t.Fatal(err)
			}
		}
		err := r.push(counted(t, step.version, Kind, 3000, key, step.counter), 0)
		if step.update {
			err = errors.Join(err, r.do(resourceUpdate))
		}
		if got := r.settled(); got != step.want || err != nil {
			t.Errorf("%s with counter %d: state/result %s, want %s; %v", step.version, step.counter, got, step.want, err)
		}
	}
}

// repository is a fetcher whose connection breaks.
type repository struct {
	image  []byte
	breaks int
	from   []int64
}

func (r *repository) Schemes() []string { return []string{"coap"} }

func (r *repository) Fetch(_ context.Context, _ string, offset int64, sink func(int64, []byte, bool) error) error {
	r.from = append(r.from, offset)
	for at := int(offset); at < len(r.image); at += 1024 {
		if r.breaks > 0 && at >= 2048*len(r.from) {
			r.breaks--
			return errors.New("connection is broken")
		}
		end := min(at+1024, len(r.image))
		if err := sink(int64(at), r.image[at:end], end == len(r.image)); err != nil {
			return err
		}
	}
	return nil
}

func TestPull(t *testing.T) {
	good := image(t, "2.0", Kind, 9000, key)
	tests := []struct {
		name   string
		breaks int
		want   string
		from   []int64
	}{
		{"at once", 0, "2/0", []int64{0}},
		{"with breaks", 2, "2/0", []int64{0, 2048, 4096}},
		{"without end of breaks", 100, "0/4", []int64{0, 2048, 4096, 6144, 8192}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				shop := &repository{image: good, breaks: tt.breaks}
				if tt.breaks == 100 {
					shop.image = append(bytes.Clone(good), make([]byte, 1<<16)...)
				}
				r.fetcher = shop
				r.boot()
				if err := r.write(resourceURI, lwm2m.String("coap://shop/board")); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if got := r.status(); got != tt.want {
					t.Errorf("state/result %s, want %s", got, tt.want)
				}
				if diff := cmp.Diff(shop.from[:len(tt.from)], tt.from); diff != "" {
					t.Errorf("got -, want +:\n%s", diff)
				}
				r.end()
			})
		})
	}
}

func TestDeferred(t *testing.T) {
	r := newRig(t)
	r.boot()
	r.end()
	u, err := New(Config{Dir: r.dir, Store: r.store, Updater: reluctant{r.hook}})
	if err != nil {
		t.Fatal(err)
	}
	r.Update = u
	if err := r.push(image(t, "2.0", Kind, 10, key), 0); err != nil {
		t.Fatal(err)
	}
	if err := r.do(resourceUpdate); err != nil {
		t.Fatal(err)
	}
	u.update(t.Context())
	if got := r.status(); got != "2/11" {
		t.Errorf("state/result %s", got)
	}
}

type reluctant struct{ *Hook }

func (reluctant) Apply(context.Context, string) error { return ErrDeferred }
