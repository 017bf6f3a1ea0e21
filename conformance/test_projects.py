"""Workspaces, projects and folders through the SDK and the CLI."""

import time

import pytest
import requests
from harness.clients import CLI, connect, projects_of, slug
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import RoboflowError

# What the SDK needs of a project, in the list and by itself (KeyError without one).
PROJECT_FIELDS = (
    "id name type annotation classes colors created updated images unannotated public splits versions license".split()
)


def test_a_new_project_has_every_field(new_project, account):
    begun = time.time()
    project = new_project("Bottles & Jars")
    assert project.name == "Bottles & Jars"
    assert project.id == f"{account.workspace}/bottles-jars"
    assert (project.type, project.annotation) == ("object-detection", "things")
    assert (project.images, project.unannotated, project.classes, project.colors) == (0, 0, {}, {})
    assert project.splits == {"train": 0, "valid": 0, "test": 0}
    assert project.public is False
    assert begun - 5 <= project.created.timestamp() <= time.time() + 5
    assert project.updated.timestamp() >= project.created.timestamp()
    assert project.versions() == []


def test_a_project_is_listed_and_found(workspace, account, project):
    assert slug(project) in projects_of(account)
    answer = rfapi.get_project(account.api_key, account.workspace, slug(project))
    listed = projects_of(account)[slug(project)]
    for field in PROJECT_FIELDS:
        assert listed[field] == answer["project"][field], field
    assert answer["workspace"]["url"] == account.workspace
    assert answer["versions"] == []
    assert workspace.project(slug(project)).id == project.id


def test_the_sdk_builds_every_project_of_the_list(server, account, project, tmp_path):
    assert project.id in connect(server, account, tmp_path).projects()


def test_classification_projects_say_classification(new_project):
    for kind in ("single-label-classification", "multi-label-classification", "classification"):
        assert new_project(project_type=kind).type == "classification"


def test_two_projects_of_one_name_get_two_slugs(new_project):
    assert slug(new_project("Twins")) != slug(new_project("Twins"))


@pytest.mark.parametrize("kind", ["action-recognition", "no-such-type", ""])
def test_an_unknown_type_is_refused(workspace, account, kind):
    before = projects_of(account)
    with pytest.raises(requests.HTTPError) as refusal:
        workspace.create_project("Odd", kind, "MIT", "things")
    assert refusal.value.response.status_code == 400
    assert "object-detection" in refusal.value.response.text, "the answer lists the types there are"
    assert projects_of(account) == before


def test_cli_project_commands(cli, account):
    created = cli("project", "create", "From The Shell", "--type", "object-detection", "--json").json()
    assert created == {
        "id": f"{account.workspace}/from-the-shell",
        "name": "From The Shell",
        "type": "object-detection",
    }
    listed = cli("project", "list", "--json").json()
    assert created["id"] in [entry["id"] for entry in listed]
    got = cli("project", "get", "from-the-shell", "--json").json()["project"]
    assert (got["id"], got["license"], got["versions"], got["images"]) == (created["id"], "Private", 0, 0)
    missing = cli("project", "get", "no-such-project", "--json")
    assert (missing.exit, "no-such-project" in missing.error()["message"]) == (3, True)


def test_cli_workspace_commands(cli, account):
    got = cli("workspace", "get", account.workspace, "--json")
    assert got.exit == 0, got
    assert account.workspace in got.stdout
    assert cli("workspace", "get", "no-such-workspace", "--json").exit == 3
    status = cli("auth", "status", "--api-key", account.api_key, "--json").json()
    assert status["url"] == account.workspace
    assert cli("auth", "status", "--api-key", "rf_nobody_has_this_key", "--json").exit == 2


def test_cli_login_with_a_key(cli, account, tmp_path):
    done = cli("auth", "login", "--api-key", account.api_key, "--json")
    assert done.exit == 0, done
    assert account.workspace in (tmp_path / "config.json").read_text()
    assert cli("auth", "login", "--api-key", "rf_nobody_has_this_key").exit == 2


def test_folders_through_the_sdk(workspace, new_project):
    one, other = new_project(), new_project()
    folder = workspace.create_folder("Season 1", project_ids=[slug(one)])["id"]

    def projects_in(folder):
        found = [entry for entry in workspace.list_folders()["data"] if entry["id"] == folder]
        assert [entry["name"] for entry in found] == ["Season 1"]
        return sorted(
            str(entry.get("id", entry) if isinstance(entry, dict) else entry) for entry in found[0]["projects"]
        )

    assert len(projects_in(folder)) == 1
    workspace.add_projects_to_folder(folder, [other.id])
    assert len(projects_in(folder)) == 2
    workspace.remove_projects_from_folder(folder, [slug(one), other.id])
    assert projects_in(folder) == []


def test_folder_commands(cli, account, project):
    created = cli("folder", "create", "Archive", "--projects", slug(project), "--json").json()
    folder = created["id"]
    assert created["status"] == "created"
    assert folder in [entry["id"] for entry in cli("folder", "list", "--json").json()]
    got = cli("folder", "get", folder, "--json").json()["data"]
    assert [(entry["id"], entry["name"], len(entry["projects"])) for entry in got] == [(folder, "Archive", 1)]
    assert cli("folder", "update", folder, "--name", "Attic", "--json").exit == 0
    assert "Attic" in cli("folder", "get", folder).stdout
    assert cli("folder", "remove-projects", folder, slug(project), "--json").exit == 0
    assert cli("folder", "add-projects", folder, slug(project), "--json").exit == 0
    assert cli("folder", "delete", folder, "--json").exit == 0
    assert folder not in [entry["id"] for entry in cli("folder", "list", "--json").json()]
    assert slug(project) in projects_of(account), "what was in a folder outlives it"
    assert cli("folder", "delete", folder, "--json").exit == 3


def test_no_folder_is_an_empty_list(server, stranger, tmp_path):
    done = CLI(server, stranger, tmp_path)("folder", "list", "--json")
    assert (done.exit, done.json()) == (0, [])


def test_a_project_of_a_stranger_is_unknown(account, stranger, project):
    with pytest.raises(RoboflowError) as refusal:
        rfapi.get_project(stranger.api_key, account.workspace, slug(project))
    assert refusal.value.status_code in (401, 404)
