package adapter

import "strconv"

// Text writes a number the shortest way that keeps it: 1500, 0.25.
func Text(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// Parse reads a number.
func Parse(s string) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, Failed("\"" + clip(s, 64) + "\" is not a number")
	}
	return n, nil
}
