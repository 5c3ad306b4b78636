package sign

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"path"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/edgehold/edgehold/plugins/parcel"
	"github.com/edgehold/edgehold/plugins/store"
)

// seal makes the statement for devices of a module that is about to be listed, with the keys of the targets that are at hand: nothing
// when there is none, for then the list itself is staged.
func (r *Repository) seal(l *release, m Module) ([]byte, error) {
	if m.Devices == "" {
		return nil, nil
	}
	if _, err := path.Match(m.Devices, ""); err != nil {
		return nil, badName("seal "+m.Name, "pattern of devices", m.Devices)
	}
	ring, err := openKeyring(r.keys)
	if err != nil {
		return nil, err
	}
	var keys []ed25519.PrivateKey
	for _, id := range l.root.Roles[Targets].KeyIDs {
		if k, ok := ring[id]; ok && len(keys) < maxSeals {
			keys = append(keys, k.key)
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	return parcel.Seal(parcel.Statement{
		Name: m.Name, Version: m.Version, Kind: m.Kind, Digest: sha256.Sum256(m.Bytes), Length: uint64(len(m.Bytes)),
		Counter: uint64(l.version(Targets)) + 1, Devices: m.Devices,
	}, keys...)
}

// maxSeals is how many keys state one module: a device needs one that it knows.
const maxSeals = 4

// sealedFor reports whether a listed module has a statement for these devices already.
func sealedFor(t *metadata.TargetFiles, devices string) bool {
	own, err := targetOf(t)
	if err != nil || devices == "" {
		return err == nil
	}
	h, err := parcel.ParseSeal(own.Seal)
	return err == nil && h.Statement.Devices == devices
}

// Parcel makes of a module what a device takes, by the statement that published metadata carries about it: a bundle's, or what Files
// returns. It checks form and digest; who signed is the device's to judge.
func Parcel(module []byte, trust map[string][]byte) ([]byte, error) {
	digest := store.Digest(module)
	what := "pack a parcel of " + digest
	version := int64(0)
	var newest *metadata.Metadata[metadata.TargetsType]
	for name, raw := range trust {
		if path.Dir(name) != ImagesFolder || !strings.HasSuffix(name, ".targets.json") {
			continue
		}
		md, d, err := read[metadata.TargetsType](what, raw, Targets)
		if err != nil {
			return nil, err
		}
		if d.version > version {
			version, newest = d.version, md
		}
	}
	if newest == nil {
		return nil, &Error{Code: CodeNoMetadata, What: what, Why: "it comes without metadata that vouches for it", Hint: "name a bundle of a signed module, or the folder that `edgehold trust` publishes, with --trust"}
	}
	for _, t := range newest.Signed.Targets {
		if digestOf(t) == digest {
			return parcelOf(what, t, module)
		}
	}
	return nil, &Error{Code: CodeNotListed, What: what, Why: fmt.Sprintf("it is not among the %d modules of the list, version %d", len(newest.Signed.Targets), version), Hint: "add it with `edgehold trust add`"}
}

func parcelOf(what string, t *metadata.TargetFiles, module []byte) ([]byte, error) {
	own, err := targetOf(t)
	if err != nil {
		return nil, err
	}
	if len(own.Seal) == 0 {
		return nil, &Error{Code: CodeNotListed, What: what, Why: own.Name + "@" + own.Version + " is vouched for to nodes, and not to devices", Hint: "add it again where the targets key is, with `edgehold trust add --devices '*'`"}
	}
	return parcel.Pack(own.Seal, module)
}

// Parcel makes a device's parcel of a listed module.
func (r *Repository) Parcel(name, version string) ([]byte, error) {
	what := fmt.Sprintf("pack a parcel of %s@%s", name, version)
	l, err := r.open(Images, "")
	if err != nil {
		return nil, err
	}
	t, err := l.list.find(what, name, version)
	if err != nil {
		return nil, err
	}
	file, err := moduleFile(t.Digest)
	if err != nil {
		return nil, err
	}
	module, err := readBelow(r.Published(), path.Join(ModulesFolder, file), MaxModuleBytes)
	if err != nil {
		return nil, r.failed(what, err)
	}
	return parcelOf(what, l.list.targets[targetPath(name, version)], module)
}
