package firmware

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/edgehold/edgehold/plugins/parcel"
)

// Kind is what a signed image says that it is.
const Kind = parcel.KindFirmware

// Hook is the Updater of a Linux device: an image is a parcel of kind firmware, signed by a key that the device trusts, and a program of the
// operator's puts it in place. The program gets the path of the bare image as its last argument.
type Hook struct {
	Trust   parcel.Trust
	Command []string
	Version string // that runs
}

// Running implements Updater.
func (h *Hook) Running() string { return h.Version }

// Verify implements Updater. The image is read once, and never held whole.
func (h *Hook) Verify(file string) (Image, error) {
	f, err := os.Open(file)
	if err != nil {
		return Image{}, fmt.Errorf("verify firmware: %w", err)
	}
	defer func() { _ = f.Close() }()
	head, _, err := h.read(f, io.Discard)
	if err != nil {
		return Image{}, fmt.Errorf("verify firmware: %w", err)
	}
	return Image{head.Statement.Name, head.Statement.Version, head.Statement.Counter}, nil
}

// read checks a parcel and writes its body to w.
func (h *Hook) read(f io.ReadSeeker, w io.Writer) (*parcel.Head, int64, error) {
	start := make([]byte, parcel.MaxHead)
	n, err := io.ReadFull(f, start)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, 0, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	head, at, more, err := parcel.ParseHead(start[:n])
	if err != nil || more {
		return nil, 0, fmt.Errorf("%w: %w", ErrIntegrity, errors.Join(err, errTruncated(more)))
	}
	if err := h.judge(head); err != nil {
		return nil, 0, err
	}
	if _, err := f.Seek(int64(at), io.SeekStart); err != nil {
		return nil, 0, err
	}
	sum := sha256.New()
	length, err := io.Copy(io.MultiWriter(sum, w), f)
	if err != nil {
		return nil, 0, err
	}
	if uint64(length) != head.Statement.Length || !bytes.Equal(sum.Sum(nil), head.Statement.Digest[:]) {
		return nil, 0, fmt.Errorf("%w: length or SHA-256 differ from what was signed", ErrIntegrity)
	}
	return head, length, nil
}

func errTruncated(more bool) error {
	if more {
		return errors.New("it ends too early")
	}
	return nil
}

// judge has the head checked by whom the device trusts.
func (h *Hook) judge(head *parcel.Head) error {
	trust := h.Trust
	trust.Kinds = []string{Kind}
	err := trust.Check(head)
	var refused *parcel.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && (refused.Code == parcel.CodeKind || refused.Code == parcel.CodeDevice):
		return fmt.Errorf("%w: %w", ErrType, err)
	default:
		return fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
}

// Apply implements Updater: it unpacks the image beside the parcel, checking it again, and runs the program.
func (h *Hook) Apply(ctx context.Context, file string) error {
	if len(h.Command) == 0 {
		return errors.New("apply firmware: no program is configured for it")
	}
	image := filepath.Join(filepath.Dir(file), "firmware.image")
	defer func() { _ = os.Remove(image) }()
	if err := h.unpack(file, image); err != nil {
		return fmt.Errorf("apply firmware: %w", err)
	}
	command := exec.CommandContext(ctx, h.Command[0], append(h.Command[1:len(h.Command):len(h.Command)], image)...)
	var said beginning
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		return fmt.Errorf("apply firmware: %w: %s", err, said)
	}
	return nil
}

// beginning keeps the first bytes of what a program says.
type beginning []byte

const maxSaid = 256

func (b *beginning) Write(p []byte) (int, error) {
	*b = append(*b, p[:min(len(p), maxSaid-len(*b))]...)
	return len(p), nil
}

func (h *Hook) unpack(file, image string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	w, err := os.OpenFile(image, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, _, err = h.read(f, w)
	return errors.Join(err, w.Sync(), w.Close())
}
