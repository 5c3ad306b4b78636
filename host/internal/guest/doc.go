// Package guest is one running instance of a module and the world it can see: virtual time, seeded randomness, granted
// handles, a log, and budgets for all of them. It decides nothing about where modules come from, how many instances
// there are, or what a failed one means to anybody.
package guest
