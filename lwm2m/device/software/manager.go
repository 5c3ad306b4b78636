package software

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/runner"
	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/wasmabi"
)

// Workloads runs what is installed and active.
type Workloads interface {
	Check(ctx context.Context, module []byte) (*wasmabi.Manifest, error)
	Start(ctx context.Context, id uint16, module []byte, parameters map[string]float64) error
	Stop(ctx context.Context, id uint16)
	Status(id uint16) (runner.Status, bool)
}

// Fetcher gets packages that a server names by a URI, block by block from an offset on. Data of a part is valid during the call of sink.
type Fetcher interface {
	Schemes() []string // "coap", "coaps"
	Fetch(ctx context.Context, uri string, offset int64, sink func(offset int64, data []byte, last bool) error) error
}

// Bounds that a Config may lower.
const (
	MaxInstances = runner.MaxWorkloads
	MaxPackage   = 1 << 20 // bytes
)

// Config is what a Manager needs.
type Config struct {
	Dir       string
	Trust     parcel.Trust // keys, and the device's name; kinds and counters are the manager's
	Workloads Workloads
	Fetcher   Fetcher // nil: no packages by URI
	// Parameters are the operator's values by the name of the workload.
	Parameters map[string]map[string]float64
	MaxPackage int64 // bytes; 0 is MaxPackage
	Logger     *slog.Logger
}

// Manager is object 9.
type Manager struct {
	config Config
	disk   *folder
	pull   chan struct{} // of one element: there is something to pull

	mu       sync.Mutex
	records  map[uint16]*record
	counters map[string]uint64
	heads    map[uint16]*arrival
	fallen   map[uint16]*record // what was active, and did not start after the restart

	announceMu sync.Mutex
	announce   func(lwm2m.Path)
}

// arrival is what is known of a package on its way.
type arrival struct {
	head   *parcel.Head
	length int64 // of all of it; 0 until the head is there
	begin  []byte
}

var (
	errQuota  = errors.New("there is no room for it")
	errSource = errors.New("nothing can be fetched from there")
	errLost   = errors.New("the connection was lost")
)

// Open reads what is on the disk. Workloads that were active run after [Manager.Resume].
func Open(c Config) (*Manager, error) {
	if c.MaxPackage == 0 {
		c.MaxPackage = MaxPackage
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	disk, err := openFolder(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open the packages of this device: %w", err)
	}
	m := &Manager{config: c, disk: disk, pull: make(chan struct{}, 1), heads: map[uint16]*arrival{}, fallen: map[uint16]*record{}}
	m.config.Trust.Kinds = []string{wasmabi.KindWorkload, wasmabi.KindPolicy}
	m.config.Trust.MaxBytes = uint64(c.MaxPackage)
	m.config.Trust.Counter = func(name string) uint64 { return m.counters[name] }
	if m.counters, err = disk.counters(); err != nil {
		c.Logger.Error("which packages were accepted before is lost; those that are installed count", "error", err)
		m.counters = map[string]uint64{}
	}
	if m.records, err = disk.records(); err != nil {
		c.Logger.Error("packages are lost", "error", err)
	}
	m.repair()
	return m, nil
}

// repair goes on from whatever step the device was stopped in. A disk that is full, or can't be written, is no reason not to start: a device that runs can be
// told what to remove.
func (m *Manager) repair() {
	m.tidy()
	for id, r := range m.records {
		m.recount(r.Installed)
		if r.State == DownloadStarted {
			m.takeUp(id)
		}
	}
}

// takeUp looks at what has come of a package.
func (m *Manager) takeUp(id uint16) {
	begin, err := m.disk.read(partName(id), m.config.MaxPackage+parcel.MaxHead)
	if err != nil {
		begin = nil
	}
	m.heads[id] = &arrival{}
	err = m.inspect(id, begin)
	if a := m.heads[id]; err == nil && a.length != 0 && int64(len(begin)) == a.length {
		err = m.deliver(id)
	}
	if err == nil {
		return
	}
	if err := m.refuse(id, err); err != nil {
		m.config.Logger.Error("a package that is refused is not forgotten", "instance", id, "error", err)
	}
}

// recount has a package that is installed count, should the disk have damaged the counters.
func (m *Manager) recount(digest string) {
	if digest == "" {
		return
	}
	h, _, err := m.stored(digest)
	if err != nil || h.Statement.Counter <= m.counters[h.Statement.Name] {
		return
	}
	if err := m.count(h); err != nil {
		m.config.Logger.Error("which packages were accepted is not kept", "error", err)
	}
}

// Resume starts what was active when the device stopped. What does not start is for [Manager.Run] to try again.
func (m *Manager) Resume(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(m.records)) {
		r := m.records[id]
		if r.State != Installed || !r.Active {
			continue
		}
		if err := m.start(ctx, id, r); err != nil {
			m.config.Logger.Error("a workload does not start any more", "instance", id, "error", err)
			r.Active, r.Reason = false, reasonOf(err) // on the disk it is active: after the next restart it is tried again
			m.fallen[id] = r
		}
	}
	m.wantPull()
}

func (m *Manager) start(ctx context.Context, id uint16, r *record) error {
	h, module, err := m.stored(r.Installed)
	if err != nil {
		return err
	}
	return m.config.Workloads.Start(ctx, id, module, m.config.Parameters[h.Statement.Name])
}

// stored reads a verified package; what the disk made of it is judged again.
func (m *Manager) stored(digest string) (*parcel.Head, []byte, error) {
	raw, err := m.disk.read(parcelName(digest), m.config.MaxPackage+parcel.MaxHead)
	if err != nil {
		return nil, nil, err
	}
	h, module, err := parcel.Parse(raw)
	if err == nil && digestOf(h.Statement.Digest) != digest {
		err = errors.New("the package on disk is another one")
	}
	return h, module, err
}

// Announce is how the engine wants to hear of changes.
func (m *Manager) Announce(changed func(lwm2m.Path)) {
	m.announceMu.Lock()
	defer m.announceMu.Unlock()
	m.announce = changed
}

// Changed announces an instance; the runner tells so too.
func (m *Manager) Changed(id uint16) {
	m.announceMu.Lock()
	announce := m.announce
	m.announceMu.Unlock()
	if announce != nil {
		announce(lwm2m.PathOf(objectID, id))
	}
}

// keep replaces an instance's record on the disk and, when it is there, in memory.
func (m *Manager) keep(id uint16, next record) error {
	next.Reason = clip(next.Reason)
	if err := m.disk.saveRecord(id, &next); err != nil {
		return fmt.Errorf("keep the state of package %d: %w: %w", id, err, client.ErrUnavailable)
	}
	m.records[id] = &next
	m.Changed(id)
	return nil
}

// tidy removes packages that no record names. What fails is tried again at the next start.
func (m *Manager) tidy() {
	if err := m.disk.sweep(m.records); err != nil {
		m.config.Logger.Warn("old packages stay on the disk", "error", err)
	}
}

const maxReason = 250

// clip keeps a text short, and text.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxReason)], "") }

// reasonOf is what a person reads in Status Reason: the cause, without what was attempted.
func reasonOf(err error) string {
	if e, ok := errors.AsType[interface {
		error
		ErrorWhy() string
	}](err); ok {
		return clip(e.ErrorWhy())
	}
	return clip(err.Error())
}

// Counter returns the highest counter that was accepted of a name.
func (m *Manager) Counter(name string) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counters[name]
}

func (m *Manager) wantPull() {
	select {
	case m.pull <- struct{}{}:
	default:
	}
}

// checkURI refuses what can't be fetched.
func (m *Manager) checkURI(uri string) error {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || m.config.Fetcher == nil || !slices.Contains(m.config.Fetcher.Schemes(), u.Scheme) {
		return fmt.Errorf("package URI %.80q: %w", uri, errSource)
	}
	return nil
}
