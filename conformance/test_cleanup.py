"""Cleanup: after the retention, here of three seconds, nothing is listed, restorable or left on disk."""

import hashlib
import time

import pytest
import requests
from harness import pictures
from harness.clients import connect, generate, projects_of, slug, trashed
from harness.server import instant
from harness.trainings import all_gone, begin, begin_stubborn, ended
from harness.waiting import wait_until
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import RoboflowError

RETENTION = 3
SOON = 10  # seconds after the date: a cleanup interval of 200 ms, and a slow machine


@pytest.fixture(scope="module")
def server(new_server):
    server = new_server()
    server.account = server.init()
    server.stranger = server.create_workspace("Other People", "eve@example.com")
    return server.start("--trash-retention", f"{RETENTION}s", "--cleanup-interval", "200ms")


def digests(server):
    """The digest of everything that lies in the blob folder."""
    return {hashlib.sha256((server.home / name).read_bytes()).hexdigest() for name in server.blobs()}


def wait_for_cleanup(workspace, *item_ids):
    """Waits until the items are gone; each not before its date (C1), and soon after it (C2)."""
    due = {
        item["id"]: instant(item["scheduledCleanupAt"]) for item in workspace.trash()["items"] if item["id"] in item_ids
    }
    assert set(due) == set(item_ids)
    gone = {}
    while len(gone) < len(due):
        asked = time.time()
        there = {item["id"] for item in workspace.trash()["items"]}
        gone |= {item: asked for item in due if item not in there and item not in gone}
        assert asked < max(due.values()) + SOON, f"still in Trash: {set(due) - set(gone)}"
        time.sleep(0.05)
    # The list is made after it was asked for, so `asked` is never too late by more than the answer took.
    for item, when in due.items():
        assert gone[item] >= when - 0.5, "C1: never early"


def check_gone(workspace, kind, item_id, parent=None):
    with pytest.raises(RoboflowError, match="not found in trash") as refusal:
        workspace.restore_from_trash(kind, item_id, parent)
    assert refusal.value.status_code == 404


def test_a_project_is_gone_without_a_trace(server, workspace, account, cli, new_project, tmp_path):
    files = server.files()
    kept, doomed = new_project("Kept"), new_project("Doomed")
    shared = pictures.draw(tmp_path / "shared.jpg")
    own = pictures.draw(tmp_path / "own.png")
    kept_image = kept.single_upload(image_path=str(shared))["image"]["id"]
    others = digests(server)  # the picture and its thumbnail
    for path, split in ((shared, "train"), (own, "valid")):
        labels = pictures.coco(tmp_path / "a.coco.json", path.name, [("bottle", 1, 2, 30, 20)])
        doomed.single_upload(image_path=str(path), annotation_path=str(labels), split=split)
    version = generate(doomed, account)
    assert ended(begin(version, "quick")).status == "finished"  # exports a format, leaves weights
    version.export("coco")
    link = rfapi.get_version_export(account.api_key, account.workspace, "doomed", "1", "coco")["export"]["link"]
    bytes_of = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (shared, own)}
    assert set(bytes_of.values()) <= digests(server)

    internal = doomed.delete()["projectId"]
    (item,) = trashed(workspace, "projects", id=internal)
    assert instant(item["scheduledCleanupAt"]) - instant(item["deletedAt"]) == pytest.approx(RETENTION, abs=0.01)
    wait_for_cleanup(workspace, internal)

    check_gone(workspace, "project", internal)
    with pytest.raises(RuntimeError, match="not in Trash"):
        doomed.restore()
    assert cli("project", "restore", "doomed", "--json").exit == 3
    assert cli("project", "delete", "doomed", "--yes", "--json").exit == 3, "it is in Trash no more"
    with pytest.raises(RoboflowError):
        version.restore_training("tr_nobody")
    assert "doomed" not in projects_of(account)
    assert requests.get(link, timeout=30).status_code in (404, 410)

    # C5, C4: of its files only those that the other project has, too, are left.
    assert bytes_of[shared] in others and bytes_of[own] not in others
    wait_until(lambda: digests(server) == others, SOON, "the blobs of the project are gone")
    assert len(server.files() - files) == len(others)
    url = kept.image(kept_image)["urls"]["original"]
    assert requests.get(url, timeout=30).content == shared.read_bytes()
    server.fsck()

    # D7, and nothing of the old one comes back with a new one of its name.
    new_project("Doomed")
    fresh = workspace.project("doomed")
    assert (fresh.images, fresh.classes, fresh.versions()) == (0, {}, [])


def test_a_version_and_its_number(server, workspace, account, filled_project):
    version = generate(filled_project, account)
    version.export("coco")
    before = digests(server)
    parent = version.delete()["projectId"]
    wait_for_cleanup(workspace, "1")
    check_gone(workspace, "version", "1", parent)
    wait_until(lambda: digests(server) < before, SOON, "its export is gone")
    assert len(filled_project.search()) == 3, "the images are the project's"
    assert generate(filled_project, account).version == "2", "D6: the number is never used again"
    server.fsck()


def test_a_workflow(server, workspace, account):
    rfapi.create_workflow(account.api_key, account.workspace, name="doomed flow")
    flow = rfapi.delete_workflow(account.api_key, account.workspace, "doomed-flow")["workflowId"]
    wait_for_cleanup(workspace, flow)
    check_gone(workspace, "workflow", flow)
    assert (
        rfapi.create_workflow(account.api_key, account.workspace, name="doomed flow")["workflow"]["url"]
        == "doomed-flow"
    )
    server.fsck()


def test_a_restored_thing_is_not_cleaned_up(server, workspace, account, filled_project):
    generate(filled_project, account)
    filled_project.delete()
    filled_project.restore()
    time.sleep(RETENTION + 1.5)
    assert workspace.project(slug(filled_project)).images == 3
    assert len(filled_project.versions()) == 1
    server.fsck()


def test_a_parent_waits_for_what_lies_in_trash_below_it(server, workspace, account, filled_project):
    """C8, the parent's half: both are there until both may go, and then both go."""
    version = generate(filled_project, account)
    project_id = filled_project.delete()["projectId"]
    filled_project.restore()
    version.delete()
    time.sleep(1)
    filled_project.delete()
    (below,) = trashed(workspace, "versions", parentUrl=slug(filled_project))
    (parent,) = trashed(workspace, "projects", id=project_id)
    assert instant(parent["scheduledCleanupAt"]) >= instant(below["scheduledCleanupAt"])
    wait_for_cleanup(workspace, project_id)
    assert trashed(workspace, "versions", parentUrl=slug(filled_project)) == []
    server.fsck()


def test_a_project_with_a_training_in_flight(server, workspace, account, filled_project):
    version = generate(filled_project, account)
    training = begin_stubborn(server, version)
    internal = filled_project.delete()["projectId"]
    all_gone(server, 5)
    wait_for_cleanup(workspace, internal)
    server.fsck()
    assert all(interval.closed for interval in server.bill(account, training.training_id))
    wait_until(
        lambda: not any(training.training_id in name for name in server.files()),
        SOON,
        "the training's work folder is gone",
    )


def test_a_restart_does_not_forget_what_is_due(server, workspace, account, filled_project, tmp_path):
    internal = filled_project.delete()["projectId"]
    server.kill()
    time.sleep(RETENTION)
    server.start()
    workspace = connect(server, account, tmp_path)
    wait_until(lambda: not trashed(workspace, "projects", id=internal), 60 + SOON, "it is cleaned up after the restart")
    server.fsck()


def test_the_last_one_leaves_no_blob(server, workspace, account):
    """Everything deleted, everything cleaned up: the blob folder is empty."""
    internal = [
        rfapi.delete_project(account.api_key, account.workspace, name)["projectId"] for name in projects_of(account)
    ]
    wait_for_cleanup(workspace, *internal)
    wait_until(lambda: not server.blobs(), SOON, "no blob is left")
    server.fsck()
