"""The server is killed with SIGKILL in the middle of a training."""

import time

import pytest
from harness import processes
from harness.clients import connect, generate
from harness.server import wait_for_bill
from harness.trainings import all_gone, begin, begin_stubborn, check_cancelled, ended, on_the_wire
from harness.waiting import wait_until

LEASE = 10  # seconds
HEARTBEAT = 2
SECOND = 1_000_000  # micro-credits: the trainers cost one credit a second


@pytest.fixture
def version(filled_project, account):
    return generate(filled_project, account)


def check_billed_once(bill, killed, restarted):
    """No instant is billed twice, none after a restart before somebody works again, and none past the lease."""
    assert bill
    assert all(interval.closed for interval in bill), bill
    for interval in bill:
        assert interval.micro_credits == pytest.approx(interval.seconds * SECOND, abs=0.01 * SECOND)
    for one, next_one in zip(bill, bill[1:], strict=False):
        assert one.closed <= next_one.opened, bill
    assert bill[0].opened < killed
    assert killed - HEARTBEAT - 1 <= bill[0].closed <= killed + LEASE, (bill, killed)
    assert all(interval.opened >= restarted - 0.5 for interval in bill[1:]), bill


def test_after_a_crash_a_training_is_told_apart_cancellable_and_billed_once(server, account, version, tmp_path):
    training = begin_stubborn(server, version)
    wait_for_bill(server, account, training.training_id, seconds=3)

    server.kill()
    killed = time.time()
    all_gone(server, LEASE)

    server.start()
    restarted = time.time()
    connect(server, account, tmp_path)
    shown = on_the_wire(account, training)
    assert shown["trainingId"] == training.training_id
    assert shown["status"] in ("queued", "running"), "it has not ended: nobody told it to"
    assert not shown.get("cancelled")

    assert training.cancel()["success"] is True
    check_cancelled(account, training)
    all_gone(server, 5)
    bill = server.bill(account, training.training_id)
    check_billed_once(bill, killed, restarted)
    time.sleep(LEASE + HEARTBEAT)  # until the lease of the lost worker is over: it does not begin again
    assert not processes.of(server.marker)
    assert on_the_wire(account, training)["status"] == "failed"
    assert [i.micro_credits for i in server.bill(account, training.training_id)] == [i.micro_credits for i in bill]


def test_after_a_crash_a_training_is_taken_up_again(server, account, version, tmp_path):
    training = begin(version, "slow")
    wait_for_bill(server, account, training.training_id, seconds=2)

    server.kill()
    killed = time.time()
    all_gone(server, LEASE)

    server.start()
    restarted = time.time()
    connect(server, account, tmp_path)
    assert ended(training, LEASE + 30).status == "finished", on_the_wire(account, training)
    assert len(training.models) == 1
    bill = wait_until(
        lambda: (bill := server.bill(account, training.training_id)) and all(i.closed for i in bill) and bill,
        5,
        "the meter stops",
    )
    check_billed_once(bill, killed, restarted)
    assert len(bill) == 2
    assert bill[0].closed <= killed + 0.5, "a lost worker is paid up to its last heartbeat"
    all_gone(server, 5)


def test_what_was_deleted_before_a_crash_is_deleted_after_it(
    server, workspace, account, filled_project, version, tmp_path
):
    training = begin_stubborn(server, version)
    wait_for_bill(server, account, training.training_id, seconds=1)
    filled_project.delete()
    server.kill()  # at once: whoever is to end the processes does so without the server
    all_gone(server, LEASE)

    server.start()
    workspace = connect(server, account, tmp_path)
    assert [item["url"] for item in workspace.trash()["sections"]["projects"]] == [version.project]
    assert filled_project.restore()["restored"] is True
    check_cancelled(account, training)
    assert workspace.project(version.project).images == 3
    (interval,) = server.bill(account, training.training_id)
    assert interval.closed
