"""Trainings: begin, list, look at, cancel, stop; real processes, and what they cost."""

import time

import pytest
from harness import processes
from harness.clients import generate, slug
from harness.server import MICRO_CREDITS_PER_SECOND, wait_for_bill
from harness.trainings import all_gone, begin, begin_stubborn, check_cancelled, ended, on_the_wire
from harness.waiting import wait_until
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import RoboflowError


@pytest.fixture
def version(filled_project, account):
    return generate(filled_project, account)


def check_bill_is_closed(server, account, training):
    """One interval, closed, charged exactly for its length; and it stays so."""
    bill = wait_until(
        lambda: (bill := server.bill(account, training.training_id)) and all(i.closed for i in bill) and bill,
        5,
        "the meter stops",
    )
    assert len(bill) == 1, bill
    assert bill[0].micro_credits == pytest.approx(
        bill[0].seconds * MICRO_CREDITS_PER_SECOND, abs=0.01 * MICRO_CREDITS_PER_SECOND
    )
    assert bill[0].micro_credits > 0
    time.sleep(2.5)  # longer than a heartbeat
    assert [i.micro_credits for i in server.bill(account, training.training_id)] == [bill[0].micro_credits]
    return bill[0]


def test_a_training_finishes_and_leaves_a_model(server, account, version):
    begun = time.time()
    training = ended(begin(version, "quick"))
    assert training.status == "finished", on_the_wire(account, training)
    assert training.model_type == "test-quick"
    (model,) = training.models
    assert model.model_id.startswith(f"{account.workspace}/")
    assert on_the_wire(account, training).get("cancelled") in (None, False)

    (listed,) = version.trainings()
    assert (listed.training_id, listed.status, listed.model_type) == (training.training_id, "finished", "test-quick")
    assert [m.model_id for m in version.models()] == [model.model_id]
    assert listed.model_ids == [model.model_id]

    interval = check_bill_is_closed(server, account, training)
    assert begun - 1 <= interval.opened <= interval.closed <= time.time()
    all_gone(server, 5)


def test_the_list_has_every_field(account, version):
    training = ended(begin(version, "quick"))
    (entry,) = rfapi.list_trainings_for_version(account.api_key, account.workspace, version.project, version.version)
    assert entry["id"] == entry["trainingId"] == training.training_id
    assert entry.keys() >= {"versionId", "status", "start", "end", "jobType", "modelType", "modelGroup", "modelIds"}


def test_a_training_fails(server, account, version):
    training = ended(begin(version, "failing"))
    shown = on_the_wire(account, training)
    assert (shown["status"], shown.get("cancelled") or False) == ("failed", False)
    assert training.models == []
    check_bill_is_closed(server, account, training)


def test_what_a_finished_trainer_leaves_behind_is_ended(server, version):
    assert ended(begin(version, "leaver")).status == "finished"
    all_gone(server, 5)


def test_cancel(server, account, version):
    training = begin_stubborn(server, version)
    assert len(processes.of(server.marker)) >= 4
    assert training.cancel()["success"] is True
    check_cancelled(account, training)
    all_gone(server, 5)
    check_bill_is_closed(server, account, training)

    with pytest.raises(RoboflowError, match="CANNOT_CANCEL|Cannot cancel"):
        training.cancel()


def test_stop_keeps_the_weights(server, account, version):
    training = begin(version, "slow")
    wait_until(lambda: training.refresh().status == "running", 15, "it runs", every=0.1)
    wait_for_bill(server, account, training.training_id, seconds=1)
    assert training.stop()["success"] is True
    assert training.stop()["success"] is True, "again is harmless"
    assert ended(training, 15).status == "finished"
    assert len(training.models) == 1
    all_gone(server, 5)
    interval = check_bill_is_closed(server, account, training)
    assert interval.seconds < 9, "it did not work until its end"
    assert training.stop()["success"] is True


def test_one_training_among_several(server, account, version):
    first, second = ended(begin(version, "quick")), ended(begin(version, "quick"))
    assert {training.training_id for training in version.trainings()} == {first.training_id, second.training_id}
    path = f"/{account.workspace}/{version.project}/1/v2/trainings/get"
    assert server.request("GET", path, account).status_code == 409, "which of the two?"
    assert server.request("GET", path, account, params={"trainingId": first.training_id}).status_code == 200
    assert server.request("GET", path, account, params={"trainingId": "tr_nobody"}).status_code == 404


def test_the_sole_training_needs_no_id(server, account, version):
    path = f"/{account.workspace}/{version.project}/1/v2/trainings/get"
    assert server.request("GET", path, account).status_code == 404
    training = ended(begin(version, "quick"))
    assert server.request("GET", path, account).json()["trainingId"] == training.training_id


def test_an_unknown_model_type(version):
    with pytest.raises(RoboflowError, match="test-quick"):  # the answer lists the types there are
        version.create_training(model_type="no-such-model")
    assert version.trainings() == []


def test_the_training_of_another_version(server, account, filled_project, version):
    training = begin_stubborn(server, version)
    other = generate(filled_project, account)
    for act in (rfapi.cancel_training_v2, rfapi.stop_training_v2):
        with pytest.raises(RoboflowError):
            act(account.api_key, account.workspace, other.project, other.version, training_id=training.training_id)
    assert training.refresh().status == "running"
    training.cancel()
    all_gone(server, 5)


def test_cli_train_list(cli, filled_project, version):
    name = slug(filled_project)
    assert "(No trainings on this version)" in cli("train", "list", f"{name}/1").stdout
    training = ended(begin(version, "quick"))
    listed = cli("train", "list", f"{name}/1", "--json").json()["trainings"]
    assert [(entry["id"], entry["status"]) for entry in listed] == [(training.training_id, "finished")]
    assert training.training_id in cli("train", "list", f"{name}/1").stdout
    assert cli("train", "list", f"{name}/9", "--json").exit == 3
