package compile

import (
	"debug/elf"
	"fmt"
	"os"
	"sync"
)

// program identifies the code of this process: what an older or newer program left in a cache may be something else,
// although module and recipe are the same. Where the linker's build id is missing, the file's size and time stand in for it.
var program = sync.OnceValue(func() string {
	path, err := os.Executable()
	if err != nil {
		return ""
	}
	if id := buildID(path); id != "" {
		return id
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d bytes of %d", info.Size(), info.ModTime().UnixNano())
})

func buildID(path string) string {
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	section := f.Section(".note.go.buildid")
	if section == nil {
		return ""
	}
	id, err := section.Data()
	if err != nil {
		return ""
	}
	return string(id)
}
