package policy_test

import (
	"fmt"
	"time"

	"github.com/edgehold/edgehold/sdk/go/policy"
)

func ExampleText() {
	limit := policy.Quantity{Value: 2.4e9, Unit: "Hz"}
	fmt.Println(policy.Text("load ", 3.14159, " for ", 90*time.Second, ": limit to ", limit))
	// Output: load 3.142 for 1m30s: limit to 2.4 GHz
}
