"""D4: deletion stops what is in flight. The trainer here has a grandchild that ignores SIGTERM and a daemon that left
by forking twice; all of them are gone within 5 seconds, and the meter stops with the deletion."""

import time

import pytest
from harness import processes
from harness.clients import generate, slug, trashed
from harness.server import wait_for_bill
from harness.trainings import all_gone, begin, begin_stubborn, check_cancelled, ended, on_the_wire
from harness.waiting import wait_until
from roboflow.adapters.rfapi import RoboflowError

SECOND = 1_000_000  # micro-credits: the trainers cost one credit a second


def check_meter_stopped(server, account, training, deleted):
    bill = server.bill(account, training.training_id)
    assert len(bill) == 1, bill
    assert bill[0].closed is not None, bill
    assert bill[0].closed <= deleted, "closed at the instant of the deletion"
    assert bill[0].micro_credits >= SECOND
    total = server.ledger(account)["microCredits"]
    time.sleep(4.5)  # two heartbeats
    assert server.bill(account, training.training_id)[0].micro_credits == bill[0].micro_credits
    assert server.ledger(account)["microCredits"] == total


@pytest.mark.parametrize("what", ["version", "project"])
def test_deletion_cancels_a_training(server, workspace, account, filled_project, what):
    version = generate(filled_project, account)
    training = begin_stubborn(server, version)
    wait_for_bill(server, account, training.training_id, seconds=1)
    victims = set(processes.of(server.marker))
    assert len(victims) >= 4

    thing = version if what == "version" else filled_project
    thing.delete()
    deleted = time.time()

    all_gone(server, 5)
    check_meter_stopped(server, account, training, deleted)
    with pytest.raises(RoboflowError):
        training.refresh()
    with pytest.raises(RoboflowError):
        training.cancel()
    assert trashed(workspace, "trainings") == [], "it is hidden by what was deleted, and no item of its own"

    thing.restore()
    check_cancelled(account, training)
    (listed,) = filled_project.version(1).trainings()
    assert (listed.training_id, listed.status) == (training.training_id, "failed")
    assert ended(training).status == "failed", "the SDK's documented loop ends"
    assert not processes.of(server.marker), "restored is not begun again"


def test_deletion_cancels_what_waits_and_what_stops(server, account, filled_project):
    """Every training that has not ended: running, asked to stop, and those that still wait for their turn."""
    version = generate(filled_project, account)
    running = begin_stubborn(server, version)
    stopping = begin(version, "stubborn")
    stopping.stop()
    waiting = [begin(version, "stubborn") for _ in range(4)]
    filled_project.delete()
    all_gone(server, 5)
    time.sleep(1)
    assert not processes.of(server.marker), "none begins after the deletion"
    filled_project.restore()
    for training in (running, *waiting):
        check_cancelled(account, training)
    assert ended(stopping).status == "failed"
    assert all(
        interval.closed for t in (running, stopping, *waiting) for interval in server.bill(account, t.training_id)
    )


def test_a_training_that_ends_in_the_same_instant(server, account, filled_project):
    """It ends in exactly one state, and is charged once."""
    for _ in range(3):
        version = generate(filled_project, account)
        training = begin(version, "quick")
        wait_until(lambda: training.refresh().status != "queued", 15, "it has begun", every=0.01)  # noqa: B023
        version.delete()
        time.sleep(0.5)
        version.restore()
        shown = on_the_wire(account, training)
        assert (shown["status"], bool(shown.get("cancelled"))) in [("finished", False), ("failed", True)], shown
        assert len(shown.get("models") or []) == (1 if shown["status"] == "finished" else 0)
        bill = server.bill(account, training.training_id)
        assert len(bill) == 1, bill
        assert bill[0].closed is not None, bill
    all_gone(server, 5)


def test_a_finished_training_comes_back_with_its_version(server, account, filled_project):
    """R1: with its model, and without beginning anew."""
    version = generate(filled_project, account)
    training = ended(begin(version, "quick"))
    before = on_the_wire(account, training)
    bill = [i.micro_credits for i in server.bill(account, training.training_id)]
    filled_project.delete()
    filled_project.restore()
    assert on_the_wire(account, training) == before
    assert [m.model_id for m in filled_project.version(1).models()] == [m["modelId"] for m in before["models"]]
    assert [i.micro_credits for i in server.bill(account, training.training_id)] == bill
    assert not processes.of(server.marker)


def test_no_training_begins_below_what_is_in_trash(server, account, filled_project):
    version = generate(filled_project, account)
    version.delete()
    with pytest.raises(RoboflowError):
        begin(version, "quick")
    path = f"/{account.workspace}/{slug(filled_project)}/1/v2/trainings"
    assert server.request("POST", path, account, json={"modelType": "test-quick"}).status_code == 404
