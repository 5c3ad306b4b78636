//go:build linux

package faredge

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/pluginstest"
)

const examples = "../../../../examples/"

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

// trusted is the file of the public key that devices and gateways of these tests trust.
func trusted() string {
	return fmt.Sprintf(`{"ed25519_public":"%x"}`, signer.Public().(ed25519.PublicKey))
}

// average is the example's workload, with so many bytes beside it that nobody needs.
func average(t *testing.T, padding int) []byte {
	t.Helper()
	const example = examples + "07-temp-average"
	m, err := pluginstest.TinyGo(example)
	pluginstest.Need(t, err)
	section := append([]byte{4}, "pads"...)
	section = append(section, make([]byte, padding)...)
	m = append(binary.AppendUvarint(append(pluginstest.Pack(t, example, m), 0), uint64(len(section))), section...)
	return pack(t, "temp-average", m)
}

// pack is a module with the statement that vouches for it.
func pack(t *testing.T, name string, m []byte) []byte {
	t.Helper()
	seal, err := parcel.Seal(parcel.Statement{
		Name: name, Version: "1.0.0", Kind: "workload", Digest: sha256.Sum256(m), Length: uint64(len(m)), Counter: 1, Devices: "*",
	}, signer)
	must(t, err)
	p, err := parcel.Pack(seal, m)
	must(t, err)
	return p
}

// epochs reads `edgehold device list -o json`.
func epochs(t *testing.T, text string) map[string]uint64 {
	t.Helper()
	var list struct {
		Items []struct {
			Endpoint string `json:"endpoint"`
			Epoch    uint64 `json:"epoch"`
		} `json:"items"`
	}
	must(t, json.Unmarshal([]byte(text), &list))
	all := map[string]uint64{}
	for _, d := range list.Items {
		all[d.Endpoint] = d.Epoch
	}
	return all
}
