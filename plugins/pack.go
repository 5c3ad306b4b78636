package plugins

import "github.com/edgehold/edgehold/wasmabi"

// Pack returns the module with m as its manifest; a manifest that the module has already is replaced. Equal inputs
// give equal bytes.
func Pack(module []byte, m *wasmabi.Manifest) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	bare, err := wasmabi.StripManifest(module)
	if err != nil {
		return nil, err
	}
	return wasmabi.AppendManifest(bare, m)
}
