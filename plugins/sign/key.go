package sign

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/edgehold/edgehold/plugins/store"
)

// PublicKey is an Ed25519 key with the name that people know it by.
type PublicKey struct {
	Name string
	Key  ed25519.PublicKey
}

// ID is the key's identity in metadata, as TUF computes it.
func (k PublicKey) ID() string {
	id, err := k.tuf().ID()
	if err != nil { // can't be: an Ed25519 key always has a canonical form
		return ""
	}
	return id
}

func (k PublicKey) tuf() *metadata.Key {
	return &metadata.Key{Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519, Value: metadata.KeyVal{PublicKey: hex.EncodeToString(k.Key)}}
}

// PrivateKey signs.
type PrivateKey struct {
	Name string
	key  ed25519.PrivateKey
}

// Public is the part that may be known.
func (k PrivateKey) Public() PublicKey {
	return PublicKey{k.Name, k.key.Public().(ed25519.PublicKey)}
}

// NewKey makes a key.
func NewKey(name string) (PrivateKey, error) {
	if !validName(name) {
		return PrivateKey{}, badName("make a key", "key", name)
	}
	_, key, err := ed25519.GenerateKey(nil)
	return PrivateKey{name, key}, err
}

// Ends of the names of key files.
const (
	PrivateSuffix = ".key"
	PublicSuffix  = ".pub"
)

// keyFile is a key on disk. The private one holds the public one as well, which is checked.
type keyFile struct {
	Name    string `json:"name"`
	KeyID   string `json:"key_id"`
	Public  string `json:"ed25519_public"`
	Private string `json:"ed25519_private,omitempty"` // the seed
}

const maxKeyBytes = 4 << 10

// Save writes NAME.key, which its owner alone may read, and NAME.pub into a folder. It replaces no key.
func (k PrivateKey) Save(dir string) error {
	what := "save key " + k.Name
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return keyError(what, err.Error(), err)
	}
	public := k.Public()
	f := keyFile{Name: k.Name, KeyID: public.ID(), Public: hex.EncodeToString(public.Key), Private: hex.EncodeToString(k.key.Seed())}
	if err := writeKey(filepath.Join(dir, k.Name+PrivateSuffix), f, 0o600); err != nil {
		return keyError(what, err.Error(), err)
	}
	return public.Save(filepath.Join(dir, k.Name+PublicSuffix))
}

// Save writes a public key.
func (k PublicKey) Save(path string) error {
	err := writeKey(path, keyFile{Name: k.Name, KeyID: k.ID(), Public: hex.EncodeToString(k.Key)}, 0o644)
	if err != nil {
		return keyError("save key "+k.Name, err.Error(), err)
	}
	return nil
}

func writeKey(path string, k keyFile, mode fs.FileMode) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists", path)
	}
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	return store.ReplaceFile(path, append(raw, '\n'), mode)
}

// LoadPublicKey reads a NAME.pub.
func LoadPublicKey(path string) (PublicKey, error) {
	k, _, err := loadKey(path)
	return k, err
}

// LoadKey reads a NAME.key, and refuses one that others than its owner may read.
func LoadKey(path string) (PrivateKey, error) {
	what := "read key " + path
	info, err := os.Stat(path)
	if err != nil {
		return PrivateKey{}, keyError(what, err.Error(), err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return PrivateKey{}, &Error{Code: CodeKey, What: what, Why: fmt.Sprintf("others may read it (mode %o)", info.Mode().Perm()), Hint: "chmod 600 it; replace the key with `edgehold trust key rotate` if somebody may have done so"}
	}
	k, f, err := loadKey(path)
	if err != nil {
		return PrivateKey{}, err
	}
	seed, err := hex.DecodeString(f.Private)
	if err != nil || len(seed) != ed25519.SeedSize {
		return PrivateKey{}, keyError(what, "it holds no private key", err)
	}
	own := PrivateKey{k.Name, ed25519.NewKeyFromSeed(seed)}
	if !own.Public().Key.Equal(k.Key) {
		return PrivateKey{}, keyError(what, "its private part does not belong to its public part", nil)
	}
	return own, nil
}

func loadKey(path string) (PublicKey, keyFile, error) {
	what := "read key " + path
	raw, err := readBelow(filepath.Dir(path), filepath.Base(path), maxKeyBytes)
	if err != nil {
		return PublicKey{}, keyFile{}, keyError(what, err.Error(), err)
	}
	k, f, err := parseKey(raw)
	if err != nil {
		return k, f, keyError(what, err.Error(), err)
	}
	return k, f, nil
}

func parseKey(raw []byte) (PublicKey, keyFile, error) {
	var f keyFile
	if len(raw) > maxKeyBytes {
		return PublicKey{}, f, errors.New("it is too long for a key")
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return PublicKey{}, f, err
	}
	public, err := hex.DecodeString(f.Public)
	if err != nil || len(public) != ed25519.PublicKeySize || !validName(f.Name) {
		return PublicKey{}, f, errors.New("it is no key file")
	}
	k := PublicKey{f.Name, public}
	if k.ID() != f.KeyID {
		return k, f, errors.New("the key has another identity than the file says")
	}
	return k, f, nil
}

func keyError(what, why string, err error) error {
	return &Error{Code: CodeKey, What: what, Why: why, Hint: "name a file that `edgehold trust key new` or `edgehold trust init` wrote", Err: err}
}

// keyring is the private keys of a folder, by identity.
type keyring map[string]PrivateKey

// openKeyring reads a folder of keys; one that is not there is empty, for its keys may be elsewhere.
func openKeyring(dir string) (keyring, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return keyring{}, nil
	}
	if err != nil {
		return nil, keyError("read the keys in "+dir, err.Error(), err)
	}
	ring := keyring{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), PrivateSuffix) {
			continue
		}
		k, err := LoadKey(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		ring[k.Public().ID()] = k
	}
	return ring, nil
}
