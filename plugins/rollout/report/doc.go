// Package report says in the words of the HTTP interface how a rollout stands, and reads what an upload asks for. It decides
// nothing: package rollout does.
package report
