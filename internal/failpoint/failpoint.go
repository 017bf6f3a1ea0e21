// Package failpoint names the places at which tests kill the process, fail it, or
// hold it up: every step after which a crash leaves something new behind. One
// line marks one place; docs/decisions/0008-failpoints.md says why it is our own.
//
// Only a binary built with the tag failpoints has them. In every other one each
// function is empty and inlined away, as a test of this package shows.
//
// There are two kinds of place. At and Pass name one by itself. In names an act on
// the database, a use case, whose steps the store then names: ACT.write after each
// statement that writes, ACT.commit before the transaction is committed, and
// ACT.committed right after it. Names are constants and used once; cmd/cullet's
// test reads them from the source and wants each of them hit.
package failpoint
