package mechanisms

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// sealed is the form of the state files: a body and its digest, so that a torn or edited file is recognised.
type sealed struct {
	SHA256 string          `json:"sha256"`
	Body   json.RawMessage `json:"body"`
}

// maxStateFile bounds what is read back; a thousand CPUs with every knob held come to a tenth of it.
const maxStateFile = 16 << 20

// errCorrupt marks a state file whose contents can't be believed.
var errCorrupt = errors.New("the file is damaged")

func seal(body any) ([]byte, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return json.Marshal(sealed{SHA256: hex.EncodeToString(sum[:]), Body: b})
}

func unseal(data []byte, body any) error {
	var s sealed
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("%w: %w", errCorrupt, err)
	}
	if sum := sha256.Sum256(s.Body); hex.EncodeToString(sum[:]) != s.SHA256 {
		return fmt.Errorf("%w: its digest does not match", errCorrupt)
	}
	if err := json.Unmarshal(s.Body, body); err != nil {
		return fmt.Errorf("%w: %w", errCorrupt, err)
	}
	return nil
}

// readSealed returns fs.ErrNotExist when there is no file and errCorrupt when it can't be believed.
func readSealed(name string, body any) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxStateFile+1))
	if err != nil {
		return err
	}
	if len(data) > maxStateFile {
		return fmt.Errorf("%w: it has more than %d bytes", errCorrupt, maxStateFile)
	}
	return unseal(data, body)
}

// writeSealed replaces the file as a whole: readers see the old or the new one. With durable it is on disk, name
// and contents, before this returns. probe is called at each point where a crash would leave a different trace.
func writeSealed(name string, body any, durable bool, probe func(string)) error {
	data, err := seal(body)
	if err != nil {
		return err
	}
	base := filepath.Base(name)
	probe("write " + base)
	tmp := name + ".new"
	if err := writeWhole(tmp, data, durable); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	probe("rename " + base)
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	probe("renamed " + base)
	if !durable {
		return nil
	}
	return syncDir(filepath.Dir(name))
}

func writeWhole(name string, data []byte, durable bool) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && durable {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
