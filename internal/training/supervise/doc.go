// Package supervise runs the command of a training so that nothing of it can
// outlive its lease (D4).
//
// Three generations of processes take part:
//
//	worker ──orders──▶ supervisor ──▶ trainer ──▶ whatever the trainer starts
//	       ◀──events──
//
// The worker calls Start and holds a Process. The supervisor is the same binary
// executed again with Subcommand; it runs Main, in a session of its own, and
// lives as long as there is anything below it. The trainer is the operator's
// command, in a session of its own below that.
//
// # Invariants
//
//   - S1 nothing escapes: on Linux the supervisor is the subreaper of all that
//     the trainer starts. Whoever daemonises, leaves the session or loses its
//     parent becomes the supervisor's child. The supervisor is done when wait4
//     says it has no child left, which the kernel guarantees to mean: no
//     descendant left. It never trusts a list it read from /proc for that.
//   - S2 nobody is past the lease: its deadline is held by the supervisor, on a
//     clock that also runs while the machine sleeps, and is counted from when
//     the worker took the lease, not from when the news arrived. Killing begins
//     a twentieth of the lease before it ends, so that all is gone when it ends.
//   - S3 a flood blocks nothing: orders and the deadline are handled apart from
//     the trainer's output. A worker that reads slowly slows the trainer down,
//     never the killing.
//   - S4 an explicit environment: the trainer gets Spec.Env and the two
//     variables that mark it, the supervisor only PATH and the marks. Neither
//     sees the environment of the worker, and the trainer has no file but its
//     standard input (empty), output and error.
//   - S5 no stranger is signalled: a process is signalled through a pidfd after
//     its start time was seen to be unchanged, or while it is an unreaped child
//     of ours, whose number cannot be given to another.
//
// # Who kills whom, when
//
//	worker calls Kill                 supervisor kills all at once          killed
//	no renewal within the lease       supervisor kills all at once          lease
//	worker dies (pipe closes)         supervisor kills all at once          pipe-closed
//	worker calls Stop, or the         SIGTERM to the trainer's group;       stopped
//	  supervisor gets SIGTERM/SIGINT    after StopGrace it kills all
//	trainer ends by itself            supervisor kills what it left         exited
//	supervisor is SIGKILLed           the kernel kills the trainer,         lost
//	                                    the worker all that bear the mark
//	supervisor frozen, worker calls   supervisor is woken; after 2 s the    killed
//	  Kill                              worker kills all that bear the mark
//	supervisor and worker SIGKILLed   the kernel kills the trainer; the     (none)
//	                                    next worker calls KillMarked
//
// "Kills all" means: freeze (SIGSTOP) the trainer's group and every descendant
// until no new one turns up, SIGKILL them, reap, and again until none is left.
//
// # Limits
//
// The supervisor is no sandbox. A trainer of the same user can freeze or kill
// its supervisor, as it could the worker; see the table for what then happens.
// Only when the supervisor is SIGKILLed do the marks in the environment count:
// a process that wiped them, has no marked parent and left the trainer's
// sessions is then not found. What runs elsewhere is not below the supervisor:
// a container started through a daemon must be told to end with its client. A
// process that the supervisor may not signal (a setuid program) or that hangs
// in the kernel is reported as Lingering, and tried again until it is gone.
// Against hundreds of sessions that all compute at once a supervisor that is not
// root can take longer than 5 s, because the scheduler gives it a share as small
// as theirs; a limit on processes (ulimit -u, a container) keeps a trainer from that.
//
// Elsewhere than on Linux there is no subreaper: the trainer's process group
// (Windows: its job object) is killed, and nothing finds what left it. The
// Windows part is compiled, not tested: trainings belong on Linux.
package supervise
