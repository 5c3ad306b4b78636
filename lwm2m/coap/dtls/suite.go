package dtls

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"

	pion "github.com/pion/dtls/v3"
	"github.com/pion/dtls/v3/pkg/crypto/ccm"
	"github.com/pion/dtls/v3/pkg/crypto/prf"
)

const (
	saltSize  = 4 // of the nonce, from the key block; RFC 5288 section 3, RFC 6655 section 3
	nonceSize = saltSize + explicitIV
)

// suite is a cipher suite whose records we protect ourselves: an AEAD with an explicit nonce.
type suite struct {
	id      pion.CipherSuiteID
	psk     bool
	keySize int
	hash    prf.HashFunc
	open    func(key []byte) (cipher.AEAD, error)
}

// suites in our order of preference. CCM_8 has a short tag and is what the smallest devices have (RFC 7925 section 4.2), so it
// comes last.
var suites = []suite{
	{pion.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, false, 16, sha256.New, newGCM},
	{pion.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, false, 16, sha256.New, newGCM},
	{pion.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, false, 32, sha512.New384, newGCM},
	{pion.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, false, 32, sha512.New384, newGCM},
	{pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, false, 16, sha256.New, newCCM},
	{pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, false, 16, sha256.New, newCCM8},
	{pion.TLS_PSK_WITH_AES_128_GCM_SHA256, true, 16, sha256.New, newGCM},
	{pion.TLS_PSK_WITH_AES_128_CCM, true, 16, sha256.New, newCCM},
	{pion.TLS_PSK_WITH_AES_128_CCM_8, true, 16, sha256.New, newCCM8},
}

func suiteOf(id pion.CipherSuiteID) (*suite, error) {
	for i := range suites {
		if suites[i].id == id {
			return &suites[i], nil
		}
	}
	return nil, fmt.Errorf("find cipher suite %#04x: not one of ours", uint16(id))
}

// suiteIDs lists the suites for the credentials at hand.
func suiteIDs(psk, certificates bool) (ids []pion.CipherSuiteID) {
	for _, s := range suites {
		if s.psk && psk || !s.psk && certificates {
			ids = append(ids, s.id)
		}
	}
	return ids
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func newCCM(key []byte) (cipher.AEAD, error)  { return ccmWithTag(key, 16) }
func newCCM8(key []byte) (cipher.AEAD, error) { return ccmWithTag(key, 8) }

func ccmWithTag(key []byte, tagSize int) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return ccm.NewCCM(block, tagSize, nonceSize)
}

// half is what protects one direction: key and salt.
type half struct {
	key  [32]byte // keySize of them
	salt [saltSize]byte
}

// derive expands a master secret into the keys of both directions, RFC 5246 section 6.3.
func (s *suite) derive(master, clientRandom, serverRandom []byte) (client, server half, err error) {
	if len(master) != 48 {
		return half{}, half{}, errors.New("derive keys: the master secret is not 48 bytes")
	}
	keys, err := prf.GenerateEncryptionKeys(master, clientRandom, serverRandom, 0, s.keySize, saltSize, s.hash)
	if err != nil {
		return half{}, half{}, fmt.Errorf("derive keys: %w", err)
	}
	copy(client.key[:], keys.ClientWriteKey)
	copy(client.salt[:], keys.ClientWriteIV)
	copy(server.key[:], keys.ServerWriteKey)
	copy(server.salt[:], keys.ServerWriteIV)
	return client, server, nil
}

func (s *suite) aead(h *half) (cipher.AEAD, error) { return s.open(h.key[:s.keySize]) }
