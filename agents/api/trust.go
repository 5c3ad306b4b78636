package api

import "time"

// TrustState says what stands behind a module.
type TrustState string

const (
	// TrustSigned means that signed metadata, which this node trusts, vouches for the digest.
	TrustSigned TrustState = "signed"
	// TrustUnsigned means that nobody vouches for it; the operator's configuration lets it run all the same.
	TrustUnsigned TrustState = "unsigned"
	// TrustRevoked means that it was vouched for once and is not any more.
	TrustRevoked TrustState = "revoked"
)

// Trust says who vouches for a module.
type Trust struct {
	State   TrustState `json:"state" enum:"signed,unsigned,revoked" doc:"What stands behind the module."`
	Target  string     `json:"target,omitempty" doc:"Name of the module in the signed metadata."`
	Keys    []string   `json:"keys,omitempty" doc:"Identifiers of the keys whose signatures count."`
	Expires time.Time  `json:"expires,omitzero" doc:"When the metadata expires. What runs goes on."`
	Reason  string     `json:"reason,omitempty" doc:"What a person should know about it."`
}
