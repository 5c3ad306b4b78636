package kernel

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// maxKernel bounds an unpacked kernel image, in bytes.
const maxKernel = 256 << 20

// Vmlinux unpacks the ELF image inside an x86 boot image, which qemu starts through its PVH entry. That takes half the time
// of the boot image's own unpacking under emulation. Field offsets are those of the kernel's Documentation/arch/x86/boot.rst.
func Vmlinux(bzImage []byte) ([]byte, error) {
	const (
		setupSects    = 0x1F1
		headerMagic   = 0x202
		payloadOffset = 0x248
		payloadLength = 0x24C
		headerEnd     = 0x250
	)
	if len(bzImage) < headerEnd || string(bzImage[headerMagic:headerMagic+4]) != "HdrS" {
		return nil, fmt.Errorf("unpack the kernel: not an x86 boot image")
	}
	setup := int64(bzImage[setupSects])
	if setup == 0 {
		setup = 4
	}
	begin := (setup+1)*512 + int64(binary.LittleEndian.Uint32(bzImage[payloadOffset:]))
	end := begin + int64(binary.LittleEndian.Uint32(bzImage[payloadLength:]))
	if end > int64(len(bzImage)) {
		return nil, fmt.Errorf("unpack the kernel: the payload ends at %d, the image at %d", end, len(bzImage))
	}
	image, err := unLZ4(bzImage[begin:end], maxKernel)
	if err != nil {
		return nil, fmt.Errorf("unpack the kernel: %w", err)
	}
	if !bytes.HasPrefix(image, []byte("\x7fELF")) {
		return nil, fmt.Errorf("unpack the kernel: the payload is not an ELF image")
	}
	return image, nil
}
