package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

const maxCompatFiles = 64

// fromTarGzip takes the only .wasm file out of a layer. Names serve to find it and nothing else: nothing is unpacked.
func fromTarGzip(layer []byte) (module []byte, err error) {
	const what = "take the module out of its layer"
	z, err := gzip.NewReader(bytes.NewReader(layer))
	if err != nil {
		return nil, badForm(what, "it is not compressed with gzip: "+err.Error())
	}
	all := tar.NewReader(io.LimitReader(z, 2*MaxModuleBytes))
	for range maxCompatFiles {
		h, err := all.Next()
		if errors.Is(err, io.EOF) && module != nil {
			return module, nil
		}
		if err != nil {
			return nil, badForm(what, "there is no .wasm file in its archive: "+err.Error())
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".wasm") {
			continue
		}
		if module != nil {
			return nil, badForm(what, "there is more than one .wasm file in its archive")
		}
		if module, err = readAll(all, what, MaxModuleBytes); err != nil {
			return nil, err
		}
	}
	return nil, badForm(what, fmt.Sprintf("there are more than %d files in its archive", maxCompatFiles))
}

// readAll reads everything, unless it is more than limit.
func readAll(r io.Reader, what string, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, badForm(what, "it ends early: "+err.Error())
	}
	if int64(len(content)) > limit {
		return nil, tooLarge(what, fmt.Sprintf("it has more than %d bytes", limit))
	}
	return content, nil
}
