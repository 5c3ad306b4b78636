package sign

import (
	"encoding/json"
	"errors"

	"github.com/edgehold/edgehold/plugins/store"
)

// Pin is what trust begins with: the roots of both repositories, in one file that a node gets by a way of its own. A bare
// root.json of an image repository will do where no director is followed.
type Pin struct {
	Images   []byte
	Director []byte // may be empty
}

type pinFile struct {
	Images   json.RawMessage `json:"images"`
	Director json.RawMessage `json:"director,omitempty"`
}

const maxPinBytes = 3 * maxRootBytes

// ParsePin reads a pin and verifies that each root is signed by its own keys.
func ParsePin(raw []byte) (Pin, error) {
	if len(raw) > maxPinBytes {
		return Pin{}, badRoot(errors.New("it is longer than any honest one"))
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return Pin{}, badRoot(err)
	}
	p := Pin{Images: fields["images"], Director: fields["director"]}
	if _, bare := fields["signed"]; bare {
		p = Pin{Images: raw}
	}
	if _, err := begin(Images, "", p.Images); err != nil {
		return Pin{}, err
	}
	if len(p.Director) == 0 {
		return p, nil
	}
	_, err := begin(Director, "", p.Director)
	return p, err
}

// Bytes is the file.
func (p Pin) Bytes() ([]byte, error) {
	return json.Marshal(pinFile{p.Images, p.Director})
}

func (p Pin) digest() string {
	return store.Digest(append(append([]byte{}, p.Images...), p.Director...))
}
