// Package archtest holds the architecture of the repository as data and checks that the code keeps to it.
// It has no code of its own that ships: everything is in its tests.
package archtest
