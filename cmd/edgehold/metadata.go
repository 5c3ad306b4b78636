package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/edgehold/edgehold/plugins/sign"
)

const (
	maxRoots         = 64
	maxMetadataBytes = 1 << 20
)

// imagesOf gathers from a source what a node needs to judge a module: every root, and the newest of the other roles. It
// believes nothing; what does not fit together the node refuses. Without metadata it returns none.
func imagesOf(ctx context.Context, s sign.Source) (map[string][]byte, error) {
	files := map[string][]byte{}
	take := func(name string) (raw []byte, err error) {
		name = path.Join(sign.ImagesFolder, name)
		raw, err = s.Metadata(ctx, name, maxMetadataBytes)
		if err == nil {
			files[name] = raw
		}
		return raw, err
	}
	for n := 1; n <= maxRoots; n++ {
		if _, err := take(fmt.Sprintf("%d.%s.json", n, sign.Root)); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	raw, err := take(sign.Timestamp + ".json")
	if errors.Is(err, fs.ErrNotExist) && len(files) == 0 {
		return nil, nil
	}
	for _, role := range []string{sign.Snapshot, sign.Targets} {
		if err != nil {
			break
		}
		raw, err = take(fmt.Sprintf("%d.%s.json", versionIn(raw, role), role))
	}
	return files, err
}

// versionIn is the version of a role that a document names.
func versionIn(raw []byte, role string) int64 {
	var document struct {
		Signed struct {
			Meta map[string]struct{ Version int64 } `json:"meta"`
		} `json:"signed"`
	}
	_ = json.Unmarshal(raw, &document)
	return document.Signed.Meta[role+".json"].Version
}
