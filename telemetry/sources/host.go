package sources

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// Host says where the machine is.
type Host struct {
	// Root is the folder that holds proc and sys. Empty means /.
	Root string
	// State is a folder whose file system is measured; empty measures none.
	State string
}

func (h Host) proc(elem ...string) string { return h.path("proc", elem) }
func (h Host) sys(elem ...string) string  { return h.path("sys", elem) }

func (h Host) path(top string, elem []string) string {
	root := h.Root
	if root == "" {
		root = "/"
	}
	return filepath.Join(append([]string{root, top}, elem...)...)
}

// Sources returns every source of the host.
func (h Host) Sources() []Source {
	return []Source{
		&loadSource{h}, &cpuSource{host: h}, &memorySource{h}, &pressureSource{h}, &cpufreqSource{h},
		&networkSource{h}, &diskSource{h}, &filesystemSource{h}, &thermalSource{h}, &hwmonSource{h}, &processSource{h},
	}
}

// Bounds of what is read of one file: the kernel's own files are far smaller.
const (
	maxProcBytes = 1 << 20
	maxSysBytes  = 4 << 10
)

// readProc reads a file of /proc. Files there have no size, so it reads to the end or the bound.
func (h Host) readProc(name string) ([]byte, error) { return readFile(h.proc(name), maxProcBytes) }

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // else a pipe without a writer waits for one
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("read %s: it is not a regular file", path), err)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("read %s: it has more than %d bytes", path, most)
	}
	return b, nil
}

// readText reads an attribute of sysfs.
func readText(path string) (string, error) {
	b, err := readFile(path, maxSysBytes)
	return string(bytes.TrimSpace(b)), err
}

func readNumber(path string) (float64, error) {
	text, err := readText(path)
	if err != nil {
		return 0, err
	}
	v, err := parseNumber(text)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", path, err)
	}
	return v, nil
}

// parseNumber accepts finite numbers only: the kernel writes no others.
func parseNumber(text string) (float64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = fmt.Errorf("%q is not a finite number", text)
	}
	return v, err
}

// putNumber reads an attribute and puts it, divided by how many of its units make the metric's. An attribute that is not
// there, or has no value now, is no error: drivers differ in what they offer.
func putNumber(sink *Sink, path, name string, per float64, labels ...ring.Label) {
	if v, err := readNumber(path); err == nil {
		sink.Put(name, v/per, labels...)
	}
}

// glob lists the entries that match, or says that the folder is absent.
func glob(dir, pattern string) ([]string, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("find %s in %s: %w", pattern, dir, os.ErrNotExist)
	}
	return found, err
}

// fields parses up to len(dst) numbers and returns how many there were.
func fields(line []byte, dst []float64) int {
	n := 0
	for word := range bytes.FieldsSeq(line) {
		if n == len(dst) {
			break
		}
		v, err := parseNumber(string(word))
		if err != nil {
			break
		}
		dst[n] = v
		n++
	}
	return n
}

var errNothing = errors.New("nothing in it could be understood")
