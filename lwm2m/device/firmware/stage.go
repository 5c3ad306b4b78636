package firmware

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// stage is the file that an image arrives in. Each part is on the disk before it is acknowledged, for its sender goes on behind it.
type stage struct{ file string }

func newStage(dir string) stage { return stage{filepath.Join(dir, "firmware.part")} }

// length is how much has arrived.
func (s stage) length() int64 {
	info, err := os.Stat(s.file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// put writes a part at its offset, which is not beyond what has arrived. What lay behind goes: the sender goes on from here.
func (s stage) put(offset int64, data []byte) error {
	f, err := os.OpenFile(s.file, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("stage firmware: %w", err)
	}
	_, err = f.WriteAt(data, offset)
	err = errors.Join(err, f.Truncate(offset+int64(len(data))), f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("stage firmware: %w", err)
	}
	return nil
}

// drop forgets what has arrived.
func (s stage) drop() error {
	if err := os.Remove(s.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop firmware: %w", err)
	}
	return nil
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
