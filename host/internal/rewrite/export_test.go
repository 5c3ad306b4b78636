package rewrite

// CostOf is the cost model, for the oracle that charges each instruction by itself.
var CostOf = costOf
