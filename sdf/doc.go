// Package sdf reads, checks, resolves and writes models in the Semantic Definition Format (RFC 9880), and checks data against them. It is
// not a binding: it knows no protocol, no device and no ecosystem; sdf/oma maps LwM2M objects, sdf/mqtt carries requests.
//
// # From bytes to a model
//
//   - [Parse] reads JSON and [ParseCBOR] reads CBOR, strictly and within [Limits], into a [Document]: the tree as it was written.
//   - [Document.Validate] holds it against the published schema: [Framework] lets qualities of extensions pass, [Strict] does not.
//   - [Document.Modernize] replaces the names that drafts used before the RFC, with a warning for each.
//   - [Document.Resolve] carries out every sdfRef; [Document.Check] says what no schema can: references that lead nowhere, constants of the
//     wrong type, bounds that exclude everything.
//   - [Document.Model] gives a resolved document as Go types.
//
// [Read] does all of it, which is what a model from outside needs.
//
// # Values
//
// Trees and data hold nil, bool, int64, uint64 (only above the range of int64), float64, string, []byte, []any and map[string]any, and nothing else.
// JSON and CBOR are two notations of them (RFC 8949, section 6): a byte string is base64url without padding in JSON and native in CBOR. JSON
// can't tell such a text from any other, so the model decides: [Data.Accept].
package sdf
