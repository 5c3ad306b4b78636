//go:build linux

package leshan

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

//go:embed testdata/client testdata/server
var source embed.FS

// The programs that are built, folders of testdata.
const (
	clientProgram = "client"
	serverProgram = "server"
)

// Missing says that a program can't be had on this machine: no Java, no Maven, or nothing to download from.
type Missing struct{ Why string }

// Error says what is missing.
func (m *Missing) Error() string { return "build Leshan's programs: " + m.Why }

// classpath builds a program if that was not done before, and returns where its classes are.
func classpath(program string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", &Missing{"there is no cache folder: " + err.Error()}
	}
	project, err := fs.Sub(source, "testdata/"+program)
	if err != nil {
		return "", err
	}
	sum, err := fingerprint(project)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "edgehold", "leshan", sum)
	unlock, err := lock(folder + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if path, ok := built(folder); ok {
		return path, nil
	}
	if err := build(project, folder); err != nil {
		return "", err
	}
	path, ok := built(folder)
	if !ok {
		return "", fmt.Errorf("build Leshan's %s: Maven has left no classes", program)
	}
	return path, nil
}

// lock makes one builder of several tests and processes: the second would take away the first one's classes while its program loads
// them, and Maven's downloads are for one process at a time as well.
func lock(file string) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file, err), f.Close())
	}
	return func() { _ = f.Close() }, nil
}

func fingerprint(project fs.FS) (string, error) {
	h := sha256.New()
	err := fs.WalkDir(project, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(project, name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// built returns the class path of a folder where all of it is there.
func built(folder string) (string, bool) {
	libraries, err := os.ReadFile(filepath.Join(folder, "target", "classpath"))
	if err != nil {
		return "", false
	}
	path := filepath.Join(folder, "target", "classes") + string(os.PathListSeparator) + strings.TrimSpace(string(libraries))
	for _, p := range filepath.SplitList(path) {
		if _, err := os.Stat(p); err != nil {
			return "", false
		}
	}
	return path, true
}

// build has Maven do its work, elsewhere first, so that what is in the folder is whole.
func build(project fs.FS, folder string) error {
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return &Missing{err.Error()}
		}
	}
	temp, err := os.MkdirTemp(filepath.Dir(folder), "building")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	if err := os.CopyFS(temp, project); err != nil {
		return err
	}
	maven := exec.Command("mvn", "-B", "-q", "package", "dependency:build-classpath", "-Dmdep.outputFile=target/classpath")
	maven.Dir = temp
	if out, err := maven.CombinedOutput(); err != nil {
		if bytes.Contains(out, []byte("Could not transfer")) || bytes.Contains(out, []byte("Could not resolve")) || bytes.Contains(out, []byte("could not be resolved")) {
			return &Missing{"Maven can't download: " + firstLine(out)}
		}
		return fmt.Errorf("build Leshan's programs: %w\n%s", err, out)
	}
	if err := os.RemoveAll(folder); err != nil { // half of an older one
		return err
	}
	return os.Rename(temp, folder)
}

func firstLine(out []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	return string(line)
}
