// Package rehearse runs a policy's module through whole passes on a node that it makes up, and measures what each operation
// costs. It is not an agent: nothing is applied, and nothing is kept but the context that the policy hands on.
//
// It is not cmd/internal/bench either, which measures Edgehold.
package rehearse
