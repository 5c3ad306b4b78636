package sign

import "errors"

// Codes of errors. A code never changes its meaning.
const (
	CodeExpired         = "sign.expired"          // the metadata is too old to accept anything new
	CodeRolledBack      = "sign.rolled-back"      // older than what was believed already
	CodeMixed           = "sign.mixed"            // files of different releases of the metadata
	CodeWrongKey        = "sign.wrong-key"        // no key of the role has signed
	CodeThreshold       = "sign.threshold"        // too few keys of the role have signed
	CodeMalformed       = "sign.malformed"        // not metadata, or none that we understand
	CodeTooLarge        = "sign.too-large"        // longer than any honest file
	CodeUnreachable     = "sign.unreachable"      // the source does not answer
	CodeNoMetadata      = "sign.no-metadata"      // nothing was ever received
	CodeNotListed       = "sign.not-listed"       // the image repository does not vouch for it
	CodeRevoked         = "sign.revoked"          // the image repository has withdrawn it
	CodeDigestMismatch  = "sign.digest-mismatch"  // other bytes than those that were signed
	CodeDisagree        = "sign.disagree"         // the director names what the image repository does not vouch for
	CodeWrongNode       = "sign.wrong-node"       // metadata of another node
	CodeWrongRepository = "sign.wrong-repository" // metadata of the other repository
	CodeUnassigned      = "sign.unassigned"       // the director has nothing for this node
	CodeBadRoot         = "sign.bad-root"         // the root file that trust begins with is unusable
	CodeUnsigned        = "sign.unsigned"         // unsigned, and the operator's policy wants signatures
	CodeState           = "sign.state"            // the node's own files
	CodeRepository      = "sign.repository"       // the operator's folder
	CodeKey             = "sign.key"              // a key file
	CodeTaken           = "sign.version-taken"    // another module has this name and version
	CodeUnknownTarget   = "sign.unknown-target"   // no such policy and version
	CodeBadName         = "sign.bad-name"         // a name that can't be used
	CodeIncomplete      = "sign.incomplete"       // signatures or keys are still missing
)

// Error is what a person sees of a failure.
type Error struct {
	Code string // stable
	What string // was attempted
	Why  string // the cause
	Hint string // what to do
	Err  error  // beneath, may be nil
}

func (e *Error) Error() string {
	if e.Why == "" {
		return e.What
	}
	return e.What + ": " + e.Why
}

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

// Code returns the code of the first of this package's errors within err, or "".
func Code(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
