// Package cullet holds the words and the rules of a computer-vision workspace
// in which nothing that is deleted is lost before its time.
//
// It is pure: standard library only, no I/O, no goroutine, the clock handed in.
// The rules of Trash (D1, R3, C4 …) are written down in docs/trash.md; comments
// here and elsewhere cite them by name. Storage, jobs and doors live under
// internal/ and depend on this package, never the other way round.
package cullet
