"""A trainer for the tests: `trainer.py BEHAVIOUR MARKER`, started by the server as cullet.toml says.

quick      reports metrics, writes weights, ends well
slow       works for ten seconds; told to stop, it saves what it has and ends well
failing    writes half of its weights and fails
leaver     ends well, but leaves a daemon behind
stubborn   never ends, and has a family that does not want to die:
             a child, whose child ignores SIGTERM, and a daemon that left by forking twice
The other words are the roles of that family. All of them carry the marker in their command line.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LIFETIME = 120  # seconds: even where a test fails, nothing of this stays for long


def main():
    behaviour = sys.argv[1]
    {
        "quick": quick,
        "slow": slow,
        "failing": failing,
        "leaver": leaver,
        "stubborn": stubborn,
        "child": child,
        "grandchild": ignore_and_sleep,
        "daemon": ignore_and_sleep,
    }[behaviour]()


def quick():
    check_inputs()
    for epoch in range(1, 4):
        report(epoch)
    write_weights()


def slow():
    check_inputs()
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    signal.signal(signal.SIGINT, lambda *_: told.append(True))
    for epoch in range(1, 51):
        if told:
            break
        report(epoch)
        time.sleep(0.2)
    write_weights()


def failing():
    check_inputs()
    write_weights()
    print("the loss is not a number", file=sys.stderr, flush=True)
    sys.exit(3)


def leaver():
    check_inputs()
    start_daemon()
    report(1)
    write_weights()


def stubborn():
    check_inputs()
    start("child")
    start_daemon()
    for epoch in range(1, LIFETIME * 5):
        report(epoch)
        time.sleep(0.2)


def child():
    start("grandchild")
    time.sleep(LIFETIME)


def ignore_and_sleep():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    time.sleep(LIFETIME)


def start(role):
    return subprocess.Popen(command(role), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def start_daemon():
    """Forks twice, in a session of its own, with an empty environment: its parent is gone before it begins."""
    if os.fork():
        os.wait()
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nowhere, number)
    os.execve(sys.executable, command("daemon"), {})


def command(role):
    return [sys.executable, "-S", os.path.abspath(__file__), role, sys.argv[2]]


def check_inputs():
    """A training gets a dataset with pictures in it, a recipe, and a folder for its output."""
    dataset = Path(os.environ["CULLET_DATASET"])
    if not any(dataset.rglob("*.jpg")):
        sys.exit(f"no pictures in {dataset}: {sorted(map(str, dataset.rglob('*')))}")
    recipe = json.loads(Path(os.environ["CULLET_RECIPE"]).read_text())
    if not isinstance(recipe, dict):
        sys.exit(f"the recipe is no object: {recipe!r}")
    if not Path(os.environ["CULLET_OUTPUT"]).is_dir():
        sys.exit("no folder for the output")


def report(epoch):
    print("a line that is no metric", flush=True)
    print(json.dumps({"epoch": epoch, "mAP": epoch / 100, "box_loss": 1 / epoch}), flush=True)


def write_weights():
    (Path(os.environ["CULLET_OUTPUT"]) / "weights.pt").write_bytes(os.urandom(4096))


if __name__ == "__main__":
    main()
