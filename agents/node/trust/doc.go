// Package trust says whose modules may run on a node, and brings in what a director assigns to it. How signatures are checked is
// package sign's; how a module comes into charge once it is accepted is package node's.
package trust
