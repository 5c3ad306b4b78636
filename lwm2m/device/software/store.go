package software

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/lwm2m/durable"
)

// record is what is kept of one instance. It is replaced whole.
type record struct {
	State     State  `json:"state"`
	Result    Result `json:"result,omitempty"`
	Reason    string `json:"reason,omitempty"`
	URI       string `json:"uri,omitempty"`       // where the package is being pulled from
	Delivered string `json:"delivered,omitempty"` // digest of a package that is verified and not installed
	Installed string `json:"installed,omitempty"` // digest of the one that is, or with ForUpdate was
	Name      string `json:"name,omitempty"`      // of the delivered or installed package
	Version   string `json:"version,omitempty"`
	Active    bool   `json:"active,omitempty"`
	Objects   bool   `json:"supported_objects,omitempty"` // resource 8
}

// folder is the disk:
//
//	NUMBER.json     the record of an instance
//	NUMBER.part     a package on its way
//	DIGEST.parcel   a verified package; nothing that no record names is kept
//	counters.json   the highest counter of each name
type folder struct {
	dir  string
	step func(string) // tests stop here
}

const (
	recordSuffix = ".json"
	partSuffix   = ".part"
	parcelSuffix = ".parcel"
	countersFile = "counters.json"

	maxRecordBytes  = 64 << 10
	maxCounterNames = 256
)

func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return &folder{dir: dir, step: func(string) {}}, nil
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// replace writes a file so that a loss of power leaves the old or the new one.
func (f *folder) replace(name string, content []byte) error {
	return durable.ReplaceInSteps(f.path(name), content, f.step)
}

func (f *folder) rename(from, to string) error {
	return durable.Rename(f.path(from), f.path(to), f.step)
}

func (f *folder) saveRecord(id uint16, r *record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return f.replace(strconv.Itoa(int(id))+recordSuffix, b)
}

// records reads all records. One that can't be read is left out and told: the device goes on without it.
func (f *folder) records() (map[uint16]*record, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, err
	}
	all, errs := map[uint16]*record{}, []error(nil)
	for _, e := range entries {
		number, isRecord := strings.CutSuffix(e.Name(), recordSuffix)
		id, err := strconv.ParseUint(number, 10, 16)
		if !isRecord || err != nil {
			continue
		}
		r := &record{}
		if err := f.load(e.Name(), r); err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", e.Name(), err))
			continue
		}
		all[uint16(id)] = r
	}
	return all, errors.Join(errs...)
}

func (f *folder) load(name string, into any) error {
	b, err := f.read(name, maxRecordBytes)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, into)
}

func (f *folder) read(name string, most int64) ([]byte, error) {
	return durable.Read(f.path(name), most)
}

// counters returns the highest counter of each name.
func (f *folder) counters() (map[string]uint64, error) {
	all := map[string]uint64{}
	err := f.load(countersFile, &all)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return all, err
}

func (f *folder) saveCounters(all map[string]uint64) error {
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return f.replace(countersFile, b)
}

func partName(id uint16) string       { return strconv.Itoa(int(id)) + partSuffix }
func parcelName(digest string) string { return digest + parcelSuffix }

// partLength is how much of a package has arrived.
func (f *folder) partLength(id uint16) int64 {
	info, err := os.Stat(f.path(partName(id)))
	if err != nil {
		return 0
	}
	return info.Size()
}

// syncEvery bounds what a loss of power can take back of a package on its way, in bytes.
const syncEvery = 32 << 10

// appendPart writes what comes next of a package; at offset 0 it begins anew.
func (f *folder) appendPart(id uint16, offset int64, data []byte) error {
	flags := os.O_WRONLY | os.O_CREATE
	if offset == 0 {
		flags |= os.O_TRUNC
	}
	w, err := os.OpenFile(f.path(partName(id)), flags, 0o600)
	if err != nil {
		return err
	}
	_, err = w.WriteAt(data, offset)
	if end := offset + int64(len(data)); end/syncEvery != offset/syncEvery {
		err = errors.Join(err, w.Sync())
	}
	f.step("part written")
	return errors.Join(err, w.Close())
}

// repeats reports whether data is what has arrived at an offset already: a block that came twice.
func (f *folder) repeats(id uint16, offset int64, data []byte) bool {
	r, err := os.Open(f.path(partName(id)))
	if err != nil {
		return false
	}
	defer r.Close()
	have := make([]byte, len(data))
	_, err = r.ReadAt(have, offset)
	return err == nil && bytes.Equal(have, data)
}

// publish makes the part a package under its digest, which it has been checked against.
func (f *folder) publish(id uint16, digest string) error {
	w, err := os.OpenFile(f.path(partName(id)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(w.Sync(), w.Close()); err != nil {
		return err
	}
	f.step("part synced")
	return f.rename(partName(id), parcelName(digest))
}

func (f *folder) dropPart(id uint16) error {
	err := os.Remove(f.path(partName(id)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// dropRecord forgets an instance.
func (f *folder) dropRecord(id uint16) error {
	err := os.Remove(f.path(strconv.Itoa(int(id)) + recordSuffix))
	f.step("record removed")
	return errors.Join(err, durable.SyncFolder(f.dir))
}

// sweep removes what no record speaks of, and what was half written.
func (f *folder) sweep(all map[uint16]*record) error {
	var keep []string
	for id, r := range all {
		keep = append(keep, parcelName(r.Delivered), parcelName(r.Installed))
		if r.State == DownloadStarted {
			keep = append(keep, partName(id))
		}
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		name := e.Name()
		ours := strings.HasSuffix(name, durable.Suffix) || strings.HasSuffix(name, partSuffix) || strings.HasSuffix(name, parcelSuffix)
		if ours && !slices.Contains(keep, name) {
			errs = append(errs, os.Remove(f.path(name)))
			f.step("swept " + name)
		}
	}
	return errors.Join(errs...)
}

func digestOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }
