package software

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/lwm2m/durable"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/wasmabi"
)

// workloads stands in for the runner: modules are texts "NAME VERSION filling".
type workloads struct {
	mu      sync.Mutex
	running map[uint16]string
	fail    error
}

func (w *workloads) Check(_ context.Context, module []byte) (*wasmabi.Manifest, error) {
	name, version, _ := strings.Cut(string(module), " ")
	version, _, _ = strings.Cut(version, " ")
	return &wasmabi.Manifest{Name: name, Version: version, Kind: wasmabi.KindWorkload}, w.fail
}

func (w *workloads) Start(_ context.Context, id uint16, module []byte, _ map[string]float64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail == nil {
		w.running[id] = string(module)
	}
	return w.fail
}

func (w *workloads) Stop(_ context.Context, id uint16) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, id)
}

func (w *workloads) Status(id uint16) (runner.Status, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	module, ok := w.running[id]
	return runner.Status{MemoryBytes: uint64(len(module)), Error: ""}, ok
}

func (w *workloads) Running(dst []uint16) []uint16 {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.running {
		dst = append(dst, id)
	}
	return dst
}

func key(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

const device = "sensor-7"

// packed is a parcel of a module that the fake takes.
func packed(t testing.TB, version string, counter uint64, change ...func(*parcel.Statement)) []byte {
	t.Helper()
	b, err := tryPacked(version, counter, change...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func moduleOf(version string) []byte {
	return fmt.Appendf(nil, "average %s %s", version, strings.Repeat("filling ", 1000))
}

func tryPacked(version string, counter uint64, change ...func(*parcel.Statement)) ([]byte, error) {
	module := moduleOf(version)
	s := parcel.Statement{Name: "average", Version: version, Kind: wasmabi.KindWorkload, Digest: sha256.Sum256(module), Length: uint64(len(module)), Counter: counter, Devices: "sensor-*"}
	for _, c := range change {
		c(&s)
	}
	seal, err := parcel.Seal(s, key(1))
	if err != nil {
		return nil, err
	}
	return parcel.Pack(seal, module)
}

func config(dir string, w *workloads) Config {
	return Config{Dir: dir, Workloads: w, Trust: parcel.Trust{Keys: []ed25519.PublicKey{key(1).Public().(ed25519.PublicKey)}, Device: device}, MaxPackage: 64 << 10}
}

type bench struct {
	*Manager
	t   *testing.T
	w   *workloads
	dir string
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, dir: t.TempDir()}
	b.restart()
	return b
}

// restart is a loss of power: nothing but the disk stays.
func (b *bench) restart() {
	b.t.Helper()
	b.restartWith(&workloads{running: map[uint16]string{}})
}

func (b *bench) restartWith(w *workloads) {
	b.t.Helper()
	b.w = w
	var err error
	if b.Manager, err = Open(config(b.dir, b.w)); err != nil {
		b.t.Fatal(err)
	}
	b.Resume(b.t.Context())
}

func instance(id uint16) lwm2m.Path { return lwm2m.PathOf(objectID, id) }

func (b *bench) read(id, resource uint16) lwm2m.Value {
	b.t.Helper()
	tree, err := b.Read(nil, instance(id).Child(resource))
	if err != nil || len(tree) != 1 {
		b.t.Fatalf("read %d: %v, %v", resource, tree, err)
	}
	return tree[0].Value
}

func (b *bench) want(id uint16, s State, r Result, active bool) {
	b.t.Helper()
	state, result, activation := b.read(id, resState).Integer(), b.read(id, resResult).Integer(), b.read(id, resActivation).Boolean()
	if State(state) != s || Result(result) != r || activation != active {
		b.t.Fatalf("state %d, result %d, active %t; want %d, %d, %t; %s", state, result, activation, s, r, active, b.read(id, resReason))
	}
	if _, running := b.w.Status(id); running != active {
		b.t.Fatalf("running %t, active %t", running, active)
	}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

const blockSize = 1024

// blocks pushes a package as Block1 does, from an offset on.
func blocks(m *Manager, id uint16, p []byte, from int64) error {
	for at := from; at < int64(len(p)); at += blockSize {
		end := min(at+blockSize, int64(len(p)))
		err := m.WriteBlock(instance(id).Child(resPackage), client.Block{Offset: at, Data: p[at:end], Last: end == int64(len(p))})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) execute(id, resource uint16, args string) error {
	return b.Execute(instance(id).Child(resource), args)
}

func TestLifeOfAPackage(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	b.want(1, Initial, ResultInitial, false)
	b.must(blocks(b.Manager, 1, packed(t, "1.0.0", 1), 0))
	b.want(1, Delivered, ResultDelivered, false)
	if n, v := b.read(1, resName).Text(), b.read(1, resVersion).Text(); n != "average" || v != "1.0.0" {
		t.Errorf("it is %s %s", n, v)
	}
	b.must(b.execute(1, resInstall, ""))
	b.want(1, Installed, ResultInstalled, false)
	b.must(b.execute(1, resActivate, ""))
	b.want(1, Installed, ResultInstalled, true)
	b.restart()
	b.want(1, Installed, ResultInstalled, true)
	b.must(b.execute(1, resDeactivate, ""))
	b.want(1, Installed, ResultInstalled, false)
	b.restart()
	b.want(1, Installed, ResultInstalled, false)

	b.must(b.execute(1, resUninstall, "1")) // for update
	b.want(1, Initial, ResultInitial, false)
	b.must(blocks(b.Manager, 1, packed(t, "1.1.0", 2), 0))
	b.must(b.execute(1, resInstall, ""))
	b.must(b.execute(1, resActivate, ""))
	if got := b.w.running[1]; got != string(moduleOf("1.1.0")) {
		t.Errorf("%.20s runs", got)
	}
	b.must(b.execute(1, resUninstall, "0"))
	b.want(1, Initial, ResultInitial, false)
	b.must(b.Delete(instance(1)))
	if ids := b.Instances(nil); len(ids) != 0 {
		t.Errorf("left: %v", ids)
	}
}

// What is only executable in one state is refused in the others.
func TestStepsOutOfTurn(t *testing.T) {
	b := newBench(t)
	refused := func(what string, resources ...uint16) {
		t.Helper()
		for _, r := range resources {
			if err := b.execute(1, r, ""); !errors.Is(err, client.ErrNotAllowed) {
				t.Errorf("%s, resource %d: got %v", what, r, err)
			}
		}
	}
	b.must(b.Create(instance(1), nil))
	refused("initial", resInstall, resUninstall, resActivate, resDeactivate)
	p := packed(t, "1.0.0", 1)
	b.must(b.WriteBlock(instance(1).Child(resPackage), client.Block{Data: p[:100]}))
	refused("download started", resInstall, resUninstall, resActivate, resDeactivate)
	b.must(blocks(b.Manager, 1, p, 0))
	refused("delivered", resActivate, resDeactivate)
	b.must(b.execute(1, resInstall, ""))
	refused("installed", resInstall)
	if err := blocks(b.Manager, 1, p, 0); !errors.Is(err, client.ErrNotAllowed) {
		t.Errorf("a package over an installed one: %v", err)
	}
	if err := b.execute(1, resUninstall, "2"); !errors.Is(err, client.ErrBadRequest) {
		t.Errorf("got %v", err)
	}
	b.want(1, Installed, ResultInstalled, false)
}

func TestRefusedPackages(t *testing.T) {
	stranger, err := parcel.Seal(parcel.Statement{Name: "average", Version: "1.0.0", Kind: "workload", Digest: sha256.Sum256(moduleOf("1.0.0")),
		Length: uint64(len(moduleOf("1.0.0"))), Counter: 1, Devices: "*"}, key(2))
	if err != nil {
		t.Fatal(err)
	}
	unknown, err := parcel.Pack(stranger, moduleOf("1.0.0"))
	if err != nil {
		t.Fatal(err)
	}
	good := packed(t, "1.0.0", 1)
	altered := bytes.Clone(good)
	altered[len(altered)-1] ^= 1
	for name, test := range map[string]struct {
		parcel []byte
		want   Result
		early  bool // before the module is there
	}{
		"by a stranger":      {unknown, ResultIntegrity, true},
		"altered":            {altered, ResultIntegrity, false},
		"for others":         {packed(t, "1.0.0", 1, func(s *parcel.Statement) { s.Devices = "lamp-*" }), ResultDevice, true},
		"an adapter":         {packed(t, "1.0.0", 1, func(s *parcel.Statement) { s.Kind = "adapter" }), ResultType, true},
		"no parcel":          {bytes.Repeat([]byte("{\"pkg\":1}"), 500), ResultType, true},
		"a bare module":      {append([]byte("\x00asm\x01\x00\x00\x00"), make([]byte, 5000)...), ResultType, true},
		"cut off":            {good[:len(good)-1], ResultIntegrity, false},
		"longer than signed": {append(bytes.Clone(good), make([]byte, 2000)...), ResultIntegrity, false},
		"empty":              {nil, ResultType, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.must(b.Create(instance(1), nil))
			err := blocks(b.Manager, 1, test.parcel, 0)
			if len(test.parcel) == 0 {
				err = b.WriteBlock(instance(1).Child(resPackage), client.Block{Last: true})
			}
			if err == nil {
				t.Fatal("accepted")
			}
			b.want(1, Initial, test.want, false)
			if b.read(1, resReason).Text() == "" {
				t.Error("no reason is told")
			}
			if n := b.disk.partLength(1); n != 0 {
				t.Errorf("%d bytes stay on the disk", n)
			}
			b.must(blocks(b.Manager, 1, good, 0))
			b.want(1, Delivered, ResultDelivered, false)
		})
	}
}

func TestTooLargeIsRefusedBeforeItComes(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	err := b.WriteBlock(instance(1).Child(resPackage), client.Block{Data: packed(t, "1.0.0", 1)[:blockSize], Size: 1 << 30})
	if !errors.Is(err, client.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	b.want(1, Initial, ResultNoStorage, false)
}

// An older package than one that was installed does not come back, not even in another instance or after a restart.
func TestRollBackIsRefused(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	b.must(blocks(b.Manager, 1, packed(t, "1.1.0", 5), 0))
	b.must(b.Create(instance(2), nil))
	b.must(blocks(b.Manager, 2, packed(t, "1.0.0", 4), 0)) // nothing newer is installed yet
	b.must(b.execute(1, resInstall, ""))
	if err := b.execute(2, resInstall, ""); err == nil {
		t.Error("an older one was installed")
	}
	b.want(2, Delivered, ResultInstall, false)
	b.must(b.Delete(instance(1)))
	b.restart()
	b.must(b.execute(2, resUninstall, ""))
	if err := blocks(b.Manager, 2, packed(t, "1.0.0", 4), 0); err == nil {
		t.Error("an older one was taken")
	}
	b.want(2, Initial, ResultDevice, false)
	b.must(blocks(b.Manager, 2, packed(t, "1.1.0", 5), 0))
}

func TestFailingInstallAndActivate(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	b.must(blocks(b.Manager, 1, packed(t, "1.0.0", 1), 0))
	b.w.fail = errors.New("it does not fit this device")
	if err := b.execute(1, resInstall, ""); !errors.Is(err, client.ErrConflict) {
		t.Errorf("got %v", err)
	}
	b.want(1, Delivered, ResultInstall, false)
	if got := b.read(1, resReason).Text(); got != "it does not fit this device" {
		t.Errorf("got %q", got)
	}
	b.w.fail = nil
	b.must(b.execute(1, resInstall, ""))
	b.w.fail = errors.New("it does not start")
	if err := b.execute(1, resActivate, ""); err == nil {
		t.Error("activated")
	}
	b.want(1, Installed, ResultInstalled, false)
	b.w.fail = nil
	b.must(b.execute(1, resActivate, ""))
	b.want(1, Installed, ResultInstalled, true)
}

// A module that was signed under another name than its manifest's is not installed.
func TestStatementAndManifestAgree(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	b.must(blocks(b.Manager, 1, packed(t, "1.0.0", 1, func(s *parcel.Statement) { s.Version = "2.0.0" }), 0))
	if err := b.execute(1, resInstall, ""); err == nil {
		t.Error("installed")
	}
}

func TestBlocksOutOfOrder(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	p := packed(t, "1.0.0", 1)
	path := instance(1).Child(resPackage)
	if err := b.WriteBlock(path, client.Block{Offset: blockSize, Data: p[blockSize : 2*blockSize]}); !errors.Is(err, client.ErrIncomplete) {
		t.Errorf("a block without those before: %v", err)
	}
	b.must(b.WriteBlock(path, client.Block{Data: p[:blockSize]}))
	b.must(b.WriteBlock(path, client.Block{Offset: blockSize, Data: p[blockSize : 2*blockSize]}))
	b.must(b.WriteBlock(path, client.Block{Offset: blockSize, Data: p[blockSize : 2*blockSize]})) // again: its answer was lost
	if err := b.WriteBlock(path, client.Block{Offset: blockSize, Data: make([]byte, blockSize)}); !errors.Is(err, client.ErrIncomplete) {
		t.Errorf("other bytes than before: %v", err)
	}
	if err := b.WriteBlock(path, client.Block{Offset: 4 * blockSize, Data: p[4*blockSize : 5*blockSize]}); !errors.Is(err, client.ErrIncomplete) {
		t.Errorf("a hole: %v", err)
	}
	b.restart()
	b.want(1, DownloadStarted, ResultDownloading, false)
	b.must(blocks(b.Manager, 1, p, 2*blockSize)) // goes on where it stopped
	b.want(1, Delivered, ResultDelivered, false)
}

// fetcher serves a package by URI and breaks off now and then.
type fetcher struct {
	parcel []byte
	breaks int
	from   []int64
}

func (f *fetcher) Schemes() []string { return []string{"coap"} }

func (f *fetcher) Fetch(_ context.Context, _ string, offset int64, sink func(int64, []byte, bool) error) error {
	f.from = append(f.from, offset)
	for at := offset; at < int64(len(f.parcel)); at += blockSize {
		if at >= 3*blockSize && f.breaks > 0 {
			f.breaks--
			return errors.New("no answer")
		}
		end := min(at+blockSize, int64(len(f.parcel)))
		if err := sink(at, f.parcel[at:end], end == int64(len(f.parcel))); err != nil {
			return err
		}
	}
	return nil
}

func pulling(t *testing.T, f *fetcher) *bench {
	b := &bench{t: t, dir: t.TempDir(), w: &workloads{running: map[uint16]string{}}}
	c := config(b.dir, b.w)
	c.Fetcher = f
	var err error
	b.Manager, err = Open(c)
	b.must(err)
	b.must(b.Create(instance(1), nil))
	return b
}

func (b *bench) pullOnce() {
	id, uri, ok := b.pending()
	if !ok {
		b.t.Fatal("nothing is to be pulled")
	}
	b.fetch(b.t.Context(), id, uri)
}

func uri(text string) lwm2m.Tree {
	p := instance(1).Child(resURI)
	return lwm2m.Tree{{Path: p, Value: lwm2m.String(text)}}
}

func TestPullByURI(t *testing.T) {
	b := pulling(t, &fetcher{parcel: packed(t, "1.0.0", 1)})
	b.must(b.Write(instance(1), uri("coap://[::1]:5683/average"), client.Update))
	b.want(1, DownloadStarted, ResultDownloading, false)
	b.pullOnce()
	b.want(1, Delivered, ResultDelivered, false)
}

func TestPullGoesOnWhereItStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("waits before the second attempt")
	}
	f := &fetcher{parcel: packed(t, "1.0.0", 1), breaks: 1}
	b := pulling(t, f)
	b.must(b.Write(instance(1), uri("coap://[::1]/average"), client.Update))
	b.pullOnce()
	b.want(1, Delivered, ResultDelivered, false)
	if len(f.from) != 2 || f.from[1] != 3*blockSize {
		t.Errorf("fetched from %v", f.from)
	}
}

func TestBadURIs(t *testing.T) {
	for _, bad := range []string{"http://a/b", "coap:", "coap://", "://", "average"} {
		b := pulling(t, &fetcher{})
		if err := b.Write(instance(1), uri(bad), client.Update); err == nil {
			t.Errorf("%q is accepted", bad)
		}
		b.want(1, Initial, ResultURI, false)
	}
}

func TestPullOfABadPackageEnds(t *testing.T) {
	b := pulling(t, &fetcher{parcel: bytes.Repeat([]byte("no parcel"), 1000)})
	b.must(b.Write(instance(1), uri("coap://[::1]/average"), client.Update))
	b.pullOnce()
	b.want(1, Initial, ResultType, false)
}

// A pull whose state can't be kept ends and says why; asked for again, it begins anew.
func TestPullWhileTheDiskIsFull(t *testing.T) {
	f := &fetcher{parcel: packed(t, "1.0.0", 1)}
	b := pulling(t, f)
	b.must(b.Write(instance(1), uri("coap://[::1]/average"), client.Update))
	full := filepath.Join(b.dir, "1.json.new")
	b.must(os.Mkdir(full, 0o700))
	b.pullOnce()
	b.want(1, Initial, ResultDevice, false)
	b.must(os.Remove(full))
	b.must(b.Write(instance(1), uri("coap://[::1]/average"), client.Update))
	b.pullOnce()
	b.want(1, Delivered, ResultDelivered, false)
	if len(f.from) != 2 || f.from[1] != 0 {
		t.Errorf("fetched from %v", f.from)
	}
}

func TestReasonsAreText(t *testing.T) {
	if s := reasonOf(errors.New(strings.Repeat("é", maxReason))); len(s) > maxReason || !utf8.ValidString(s) {
		t.Errorf("got %q", s)
	}
	odd := reasonOf(errors.New("x" + strings.Repeat("é", maxReason)))
	if !utf8.ValidString(odd) || odd == "" {
		t.Errorf("got %q", odd)
	}
}

func TestEmptyURICancels(t *testing.T) {
	b := pulling(t, &fetcher{})
	b.must(b.Write(instance(1), uri("coap://[::1]/average"), client.Update))
	b.must(b.Write(instance(1), uri(""), client.Update))
	b.want(1, Initial, ResultInitial, false)
	if _, _, ok := b.pending(); ok {
		t.Error("it is still to be pulled")
	}
}

func TestInstancesAreBounded(t *testing.T) {
	b := newBench(t)
	for id := range uint16(MaxInstances) {
		b.must(b.Create(instance(id), nil))
	}
	if err := b.Create(instance(MaxInstances), nil); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

func TestMonitor(t *testing.T) {
	b := newBench(t)
	m := NewMonitor(b.w)
	b.must(b.Create(instance(3), nil))
	b.must(blocks(b.Manager, 3, packed(t, "1.0.0", 1), 0))
	b.must(b.execute(3, resInstall, ""))
	b.must(b.execute(3, resActivate, ""))
	if ids := m.Instances(nil); len(ids) != 1 || ids[0] != 3 {
		t.Fatalf("instances %v", ids)
	}
	tree, err := m.Read(nil, lwm2m.PathOf(monitorID, 3, resSoftware))
	if err != nil || tree[0].Value != lwm2m.ObjectLink(9, 3) {
		t.Errorf("got %v, %v", tree, err)
	}
	tree, err = m.Read(nil, lwm2m.PathOf(monitorID, 3, resMemory))
	if err != nil || tree[0].Value.Integer() != int64(len(moduleOf("1.0.0"))) {
		t.Errorf("got %v, %v", tree, err)
	}
}

// A record that the disk has damaged takes its own package away and no other.
func TestDamagedRecord(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	b.must(b.Create(instance(2), nil))
	b.must(b.disk.replace("1"+recordSuffix, []byte("{")))
	b.restart()
	if ids := b.Instances(nil); len(ids) != 1 || ids[0] != 2 {
		t.Errorf("instances %v", ids)
	}
}

// Counters that the disk has damaged do not keep the device from starting, and what is installed still counts.
func TestDamagedCounters(t *testing.T) {
	for name, content := range map[string]string{"truncated": "", "half": `{"average":`, "other": `[1,2]`} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.must(b.Create(instance(1), nil))
			b.must(blocks(b.Manager, 1, packed(t, "1.1.0", 5), 0))
			b.must(b.execute(1, resInstall, ""))
			b.must(b.execute(1, resActivate, ""))
			b.must(b.disk.replace(countersFile, []byte(content)))
			b.restart()
			b.want(1, Installed, ResultInstalled, true)
			b.must(b.Create(instance(2), nil))
			if err := blocks(b.Manager, 2, packed(t, "1.0.0", 4), 0); err == nil {
				t.Error("an older one was taken")
			}
			b.restart()
			b.must(blocks(b.Manager, 2, packed(t, "1.2.0", 6), 0))
		})
	}
}

// A disk that takes no writes keeps no device from starting, and a package that can't be stored is refused and not a crash.
func TestDiskThatTakesNothing(t *testing.T) {
	b := newBench(t)
	b.must(b.Create(instance(1), nil))
	p := packed(t, "1.0.0", 1)
	b.must(b.WriteBlock(instance(1).Child(resPackage), client.Block{Data: p[:blockSize]}))
	in := filepath.Join(b.dir, "1"+recordSuffix+durable.Suffix, "the", "way")
	b.must(os.MkdirAll(in, 0o700))
	b.must(os.WriteFile(b.disk.path(partName(1)), []byte("no parcel"), 0o600))
	b.restart()
	if got := b.read(1, resState).Integer(); State(got) != Initial {
		t.Errorf("state %d", got)
	}
	for offset := int64(0); offset < 3*blockSize; offset += blockSize {
		if err := b.WriteBlock(instance(1).Child(resPackage), client.Block{Offset: offset, Data: p[offset:min(offset+blockSize, int64(len(p)))]}); err == nil && offset == 0 {
			t.Error("it was taken")
		}
	}
	b.must(os.RemoveAll(filepath.Dir(filepath.Dir(in))))
	b.must(blocks(b.Manager, 1, p, 0))
}
