package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/edgehold/edgehold/plugins/store"
)

// startAfresh sets a damaged database aside, under a name that says when, and
// begins a new one from what can be recovered.
func (d *DB) startAfresh(ctx context.Context, damage error) error {
	d.disconnect()
	aside := dbName + ".corrupt-" + d.now().UTC().Format("20060102T150405.000Z")
	for _, suffix := range []string{"-wal", "-shm", ""} {
		err := os.Rename(d.path(dbName+suffix), d.path(aside+suffix))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("set the damaged database aside: %w", err)
		}
	}
	if err := store.SyncDir(d.dir); err != nil {
		return err
	}
	d.dropOldAsides()
	d.report.Damage, d.report.SetAside = damage.Error(), aside
	d.salvage = openSalvage(d.path(aside))
	d.log.Error("THE DATABASE WAS DAMAGED and has been set aside; a new one is begun",
		"damage", damage, "kept-as", d.path(aside))
	if err := d.recoverAll(ctx); err != nil {
		d.salvage.close()
		d.disconnect()
		return err
	}
	d.log.Error("state was recovered from the modules folder", "policies", d.report.Recovered, "warnings", d.report.Warnings,
		"at", d.now().Format(time.RFC3339))
	return nil
}

func (d *DB) recoverAll(ctx context.Context) error {
	if err := d.connect(ctx); err != nil {
		return err
	}
	if err := d.recoverPolicies(ctx); err != nil {
		return err
	}
	if err := d.prepareAudit(ctx); err != nil {
		return err
	}
	return d.Audit(ctx, Entry{Actor: "edgehold", Action: "state.recover", Subject: d.report.SetAside, Outcome: "done",
		Detail: "the database was damaged (" + d.report.Damage + "); this trail begins anew, the old one is in the file that was set aside"})
}

// maxAsides bounds how many damaged databases are kept: a disk that is dying
// must not be filled with them.
const maxAsides = 3

func (d *DB) dropOldAsides() {
	kept, _ := filepath.Glob(d.path(dbName + ".corrupt-*Z"))
	slices.Sort(kept) // by time
	for ; len(kept) > maxAsides; kept = kept[1:] {
		d.log.Warn("the oldest damaged database is removed", "file", kept[0])
		for _, suffix := range []string{"", "-wal", "-shm"} {
			_ = os.Remove(kept[0] + suffix)
		}
	}
}

// sweep removes what a crash left half written.
func (d *DB) sweep() {
	store.Sweep(d.path(auditDir)) // the modules are swept when they are opened
	paths, _ := filepath.Glob(d.path("*.lengthened*"))
	for _, path := range paths {
		_ = os.Remove(path)
	}
}
