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
	"time"
)

// Options tune a DB. The zero value is useful.
type Options struct {
	Logger     *slog.Logger
	Now        func() time.Time
	FlushEvery time.Duration // how long what Later was given may wait; default 1 s
	AuditMax   int           // entries in the database; default 10,000
	AuditFiles int           // of entries moved out; default 8
}

// Report says what Open found.
type Report struct {
	Fresh     bool     // there was no database
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

	write *sql.DB // one connection
	read  *sql.DB // two at most
	group group
	many  chan struct{} // holds one: that much waits to be flushed

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
	if err := d.openOrRecover(ctx); err != nil {
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
	return o
}

func (d *DB) openOrRecover(ctx context.Context) error {
	_, err := os.Stat(d.path(dbName))
	d.report.Fresh = errors.Is(err, os.ErrNotExist)
	err = d.connect(ctx)
	switch {
	case err == nil && d.report.Fresh:
		err = d.recoverPolicies(ctx) // none, unless somebody deleted the database
	case isCorrupt(err):
		return d.startAfresh(ctx, err)
	}
	if err != nil {
		d.disconnect()
	}
	return err
}

// connect opens the database, checks it if there is reason to doubt it, and
// brings its tables up to date.
func (d *DB) connect(ctx context.Context) error {
	d.write, d.read = d.pool(1, ""), d.pool(2, "&mode=ro")
	if d.report.Unclean {
		if err := d.check(ctx); err != nil {
			return err
		}
	}
	return d.Migrate(ctx, "state", schema)
}

// pool opens connections with little memory each: an agent reads and writes a
// few rows at a time.
func (d *DB) pool(conns int, extra string) *sql.DB {
	q := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "auto_vacuum(incremental)", "journal_mode(wal)", "synchronous(full)",
		"cache_size(-256)", "mmap_size(0)", "journal_size_limit(4194304)", "foreign_keys(on)",
	}}
	if extra != "" {
		q["_pragma"] = []string{"busy_timeout(5000)", "cache_size(-256)", "mmap_size(0)", "query_only(on)"}
	}
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

// Run flushes what may wait, every FlushEvery, until ctx ends.
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
	}
}

// Close flushes and closes. Run must have returned.
func (d *DB) Close() error {
	err := d.Flush(context.Background())
	d.disconnect()
	d.lock.release(err == nil)
	return Explain("close the state in "+d.dir, err)
}

func (d *DB) disconnect() {
	_ = d.read.Close()
	_ = d.write.Close()
}
