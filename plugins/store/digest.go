package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const digestPrefix = "sha256:"

// Digest returns the name of some content: "sha256:" and 64 lower-case hexadecimal digits.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return format(sum[:])
}

func format(sum []byte) string { return digestPrefix + hex.EncodeToString(sum) }

// CheckDigest refuses what [Digest] can't have returned.
func CheckDigest(digest string) error {
	h, ok := strings.CutPrefix(digest, digestPrefix)
	raw, err := hex.DecodeString(h)
	if !ok || err != nil || len(raw) != sha256.Size || strings.ToLower(h) != h {
		return &Error{Code: "store.bad-digest", What: fmt.Sprintf("use %q as a digest", digest),
			Why: "that is no digest", Hint: "digests look like sha256:0f3a..., with 64 digits", Err: ErrBadDigest}
	}
	return nil
}
