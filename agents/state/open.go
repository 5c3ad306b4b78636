package state

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// Options tune a DB. The zero value is useful.
type Options struct {
	Logger     *slog.Logger
	Now        func() time.Time
	FlushEvery time.Duration // how long what Later was given may wait; default 1 s
	AuditMax   int           // entries in the database; default 10,000
	AuditFiles int           // of entries moved out; default 8

	ModuleBytes int64 // that the modules may take, downloads included; default 1 GiB
}

// Report says what Open found.
type Report struct {
	Fresh     bool     // there was no database, or an empty one
	Unclean   bool     // the last stop was not a clean one
	Damage    string   // what was wrong with the database that was set aside
	SetAside  string   // its new name
	Recovered []string // policies that were recovered from the modules folder
	Salvaged  int      // rows that were recovered from the damaged database
	Warnings  []string // of things that are lost
}

// DB is an agent's state. Its methods may be called from any goroutine.
type DB struct {
	dir    string
	opts   Options
	log    *slog.Logger
	now    func() time.Time
	report Report
	lock   *lockFile

	modules *store.Store

	write *sql.DB // one connection
	read  *sql.DB // two at most
	group group
	many  chan struct{} // holds one: that much waits to be flushed

	damaged   atomic.Bool  // damage was met since Open
	written   atomic.Bool  // something was, since the last checkpoint
	auditRows atomic.Int64 // in the database
	salvage   *salvage     // from the database that was set aside; nil if none was

	records sync.Mutex // orders the writing of policy records

	ctxMu    sync.Mutex
	contexts map[contextKey]*savedContext // not yet in the database
}

const (
	dbName     = "edgehold.db"
	lockName   = "edgehold.lock"
	modulesDir = "modules"
	auditDir   = "audit"
)

// Open opens the state in dir, which it makes if needed. A database that is
// damaged is set aside and a new one begun from what the modules folder and the
// damaged file still tell; [DB.Report] says so. Only one process can have a
// folder open.
func Open(ctx context.Context, dir string, o Options) (*DB, error) {
	what := "open the state in " + dir
	d := &DB{dir: dir, opts: o.withDefaults(), group: newGroup(), many: make(chan struct{}, 1), contexts: make(map[contextKey]*savedContext)}
	d.log, d.now = d.opts.Logger, d.opts.Now
	for _, sub := range []string{"", modulesDir, auditDir} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, Explain(what, err)
		}
	}
	lock, unclean, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, Explain(what, err)
	}
	d.lock, d.report.Unclean = lock, unclean
	if unclean {
		d.sweep()
	}
	if d.modules, err = store.Open(d.path(modulesDir), store.Options{Suffix: moduleSuffix, MaxBytes: d.opts.ModuleBytes, Now: d.now}); err == nil {
		err = d.openOrRecover(ctx)
	}
	if err != nil {
		lock.release(false)
		return nil, Explain(what, err)
	}
	return d, nil
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = time.Second
	}
	if o.AuditMax <= 0 {
		o.AuditMax = 10_000
	}
	if o.AuditFiles <= 0 {
		o.AuditFiles = 8
	}
	if o.ModuleBytes <= 0 {
		o.ModuleBytes = 1 << 30
	}
	return o
}

func (d *DB) openOrRecover(ctx context.Context) error {
	err := d.connect(ctx)
	if isCorrupt(err) {
		return d.startAfresh(ctx, err)
	}
	if err == nil && (d.report.Fresh || d.report.Unclean) {
		err = d.recoverPolicies(ctx) // none, unless something was lost
	}
	if err == nil {
		err = d.prepareAudit(ctx)
	}
	if err != nil {
		d.disconnect()
	}
	return err
}

// connect opens the database, checks it if there is reason to doubt it, and
// brings its tables up to date.
func (d *DB) connect(ctx context.Context) error {
	d.write, d.read = d.pool(1, writing), d.pool(2, reading)
	if d.doubtful() {
		if err := d.check(ctx); err != nil {
			return err
		}
	}
	have, err := d.version(ctx, d.write, "state")
	if err != nil {
		return err
	}
	d.report.Fresh = have == 0
	return d.Migrate(ctx, "state", schema)
}

// quickBytes is the size up to which checking costs next to nothing.
const quickBytes = 8 << 20

func (d *DB) doubtful() bool {
	st, err := os.Stat(d.path(dbName))
	return err == nil && (d.report.Unclean || st.Size() <= quickBytes)
}

// The pragmas of the two pools: little memory for each connection, since an
// agent reads and writes a few rows at a time.
var (
	writing = []string{"busy_timeout(5000)", "journal_mode(wal)", "synchronous(full)", "cache_size(-256)", "mmap_size(0)",
		"journal_size_limit(4194304)", "foreign_keys(on)", "wal_autocheckpoint(8192)"}
	reading = []string{"busy_timeout(5000)", "cache_size(-256)", "mmap_size(0)", "query_only(on)"}
)

func (d *DB) pool(conns int, pragmas []string) *sql.DB {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": pragmas}
	u := url.URL{Scheme: "file", Opaque: url.PathEscape(d.path(dbName)), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil { // only an unregistered driver
		panic(err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(1)
	return db
}

// errDamaged is what a failed check ends with.
var errDamaged = errors.New("integrity check failed")

func (d *DB) check(ctx context.Context) error {
	var first string
	if err := d.write.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&first); err != nil {
		return err
	}
	if first != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, first)
	}
	return nil
}

func (d *DB) path(name ...string) string {
	return filepath.Join(append([]string{d.dir}, name...)...)
}

// Dir returns the folder.
func (d *DB) Dir() string { return d.dir }

// Report says what Open found.
func (d *DB) Report() Report { return d.report }

// Damaged reports that damage was met since Open. The next start sets the
// database aside and recovers what it can.
func (d *DB) Damaged() bool { return d.damaged.Load() }

// Backup writes a consistent copy of the database to a file that must not exist.
func (d *DB) Backup(ctx context.Context, path string) error {
	q := d.pool(1, []string{"busy_timeout(5000)", "cache_size(-256)"}) // neither of the others: it takes long, and it writes
	_, err := q.ExecContext(ctx, "VACUUM INTO ?", path)
	return d.explain("back the state up to "+path, errors.Join(err, q.Close()))
}

// Run flushes what may wait, every FlushEvery, and moves the write-ahead log into
// the database, until ctx ends.
func (d *DB) Run(ctx context.Context) error {
	t := time.NewTicker(d.opts.FlushEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-d.many:
		}
		if err := d.Flush(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("state is not flushed", "error", err)
		}
		if err := d.checkpoint(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("write-ahead log is not moved into the database", "error", err)
		}
	}
}

// checkpointBytes is the length of write-ahead log from which it is moved. The
// pragma wal_autocheckpoint, eight times that, is for when Run does not run: it would
// have whoever commits wait for it.
const checkpointBytes = 4 << 20

// checkpoint moves the write-ahead log into the database. It is passive: nobody
// who writes meanwhile waits.
func (d *DB) checkpoint(ctx context.Context) error {
	st, err := os.Stat(d.path(dbName + "-wal"))
	if err != nil || st.Size() < checkpointBytes || !d.written.Swap(false) {
		return nil // without a log there is nothing to do
	}
	var busy, frames, moved int
	err = d.read.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &frames, &moved)
	return d.explain("move the write-ahead log into the database", err)
}

// Close flushes and closes. Run must have returned.
func (d *DB) Close() error {
	err := d.Flush(context.Background())
	d.salvage.close()
	d.disconnect()
	d.lock.release(err == nil && !d.damaged.Load())
	return Explain("close the state in "+d.dir, err)
}

func (d *DB) disconnect() {
	_ = d.read.Close()
	_ = d.write.Close()
}
