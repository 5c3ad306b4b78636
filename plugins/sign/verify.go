package sign

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// signers returns the keys of a role whose signatures on d are good, and how many keys of the role have tried.
func signers(root *metadata.RootType, d *document) (good []string, known int) {
	role := root.Roles[d.role]
	for _, s := range d.signatures {
		if !slices.Contains(role.KeyIDs, s.KeyID) || slices.Contains(good, s.KeyID) {
			continue
		}
		known++
		if key, err := publicKey(root.Keys[s.KeyID]); err == nil && ed25519.Verify(key, d.payload, s.Signature) {
			good = append(good, s.KeyID)
		}
	}
	return good, known
}

// checkSigned says in our words what is wrong with the signatures of a document, before go-tuf judges them.
func checkSigned(what string, root *metadata.RootType, d *document) error {
	good, known := signers(root, d)
	need := root.Roles[d.role].Threshold
	switch {
	case len(good) >= need:
		return nil
	case known == 0:
		return &Error{
			Code: CodeWrongKey, What: what, Why: fmt.Sprintf("it is not signed by any key that root version %d gives to the role %s", root.Version, d.role),
			Hint: "the key may have been revoked, or the file comes from somebody else",
		}
	case len(good) == 0:
		return &Error{Code: CodeWrongKey, What: what, Why: "its signatures don't fit its content", Hint: "it was changed after it was signed"}
	}
	return &Error{
		Code: CodeThreshold, What: what, Why: fmt.Sprintf("%d of the keys of role %s have signed it, %d are needed", len(good), d.role, need),
		Hint: "collect the missing signatures before publishing",
	}
}

// judged puts go-tuf's verdict on a document into our words.
func judged(what string, err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Code: CodeMalformed, What: what, Why: err.Error(), Hint: "the source is damaged or lies", Err: err}
	switch {
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		e.Code, e.Hint = CodeThreshold, "collect the missing signatures before publishing"
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		e.Code, e.Hint = CodeRolledBack, "the source is behind, or somebody replays old files: this node keeps what it has"
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		e.Code, e.Hint = CodeMixed, "the source is being published at this moment, or it lies: this node keeps what it has"
	}
	return e
}
