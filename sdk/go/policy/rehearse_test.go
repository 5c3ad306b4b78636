package policy

import "testing"

func TestRehearse(t *testing.T) { rehearse() }
