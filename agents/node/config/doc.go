// Package config is the configuration of a node agent: its keys, their defaults, how files and overrides are laid over them, and what is
// wrong with them. It opens nothing and starts nothing but to see whether it could be; what becomes of it is package node's.
package config
