// Package languages holds the SDKs of all languages against each other: the same policy, built by every compiler that is there, has
// to decide the same, and every codec has to agree with the vectors of wasmabi.
// It has no code of its own that ships: everything is in its tests.
package languages
