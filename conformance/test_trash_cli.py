"""The same through the `roboflow` command: what it prints, what it asks, and how it ends."""

import pytest
from harness.clients import CLI, generate, projects_of, slug, trashed
from roboflow.adapters import rfapi

OK, ERROR, DENIED, NOT_FOUND = 0, 1, 2, 3


@pytest.fixture
def things(account, filled_project):
    """One of each kind: how the CLI calls it, where Trash lists it, and what the answers say of it."""
    generate(filled_project, account)
    name = slug(filled_project)
    number = len(rfapi.list_workflows(account.api_key, account.workspace)["workflows"])
    rfapi.create_workflow(account.api_key, account.workspace, name=f"Flow {number}", url=f"flow-of-{name}")
    return {
        "project": (name, "projects", {"url": name}, {"project": name}),
        "version": (f"{name}/1", "versions", {"id": "1", "parentUrl": name}, {"project": name, "version": "1"}),
        "workflow": (f"flow-of-{name}", "workflows", {"url": f"flow-of-{name}"}, {"workflow": f"flow-of-{name}"}),
    }


@pytest.mark.parametrize("kind", ["project", "version", "workflow"])
def test_delete_and_restore(cli, workspace, account, things, kind):
    name, section, match, fields = things[kind]

    deleted = cli(kind, "delete", name, "--yes", "--json")
    assert deleted.exit == OK, deleted
    answer = deleted.json()
    assert answer == answer | {"deleted": True, "type": kind, "workspace": account.workspace, "trash": True} | fields
    assert "alreadyInTrash" not in answer
    (item,) = trashed(workspace, section, **match)

    again = cli(kind, "delete", name, "--yes", "--json")
    assert again.exit == OK, again
    assert again.json()["alreadyInTrash"] is True
    assert again.json() == again.json() | {"deleted": True, "type": kind, "trash": True} | fields
    assert trashed(workspace, section, **match) == [item], "a no-op: not even the dates change"
    assert "is already in Trash (no-op)." in cli(kind, "delete", name, "-y").stdout

    restored = cli(kind, "restore", name, "--json")
    assert restored.exit == OK, restored
    assert restored.json() == restored.json() | {"restored": True, "type": kind, "id": item["id"]}
    assert trashed(workspace, section, **match) == []

    missing = cli(kind, "restore", name, "--json")
    assert missing.exit == NOT_FOUND, missing
    assert "not in Trash" in missing.error()["message"]


@pytest.mark.parametrize("kind", ["project", "version", "workflow"])
def test_plain_texts(cli, account, things, kind):
    name = things[kind][0]
    deleted = cli(kind, "delete", name, "--yes")
    assert (deleted.exit, f"Moved {account.workspace}/{name} to Trash" in deleted.stdout) == (OK, True)
    restored = cli(kind, "restore", name)
    assert (restored.exit, f"Restored {account.workspace}/{name} from Trash." in restored.stdout) == (OK, True)


def test_with_the_workspace_in_the_name(cli, account, things):
    name = things["version"][0]
    assert cli("version", "delete", f"{account.workspace}/{name}", "--yes").exit == OK
    assert cli("version", "restore", f"{account.workspace}/{name}").exit == OK
    name = things["project"][0]
    assert cli("project", "delete", f"{account.workspace}/{name}", "--yes").exit == OK
    assert cli("project", "restore", name, "--workspace", account.workspace).exit == OK


def test_a_workflow_by_its_id(cli, account, things):
    name = things["workflow"][0]
    flow = rfapi.get_workflow(account.api_key, account.workspace, name)["workflow"]["id"]
    assert cli("workflow", "delete", flow, "--yes", "--json").json()["workflowId"] == flow
    assert cli("workflow", "delete", flow, "--yes", "--json").json()["alreadyInTrash"] is True
    assert cli("workflow", "restore", flow, "--json").json()["id"] == flow


@pytest.mark.parametrize("kind", ["project", "version", "workflow"])
def test_without_yes_and_without_a_terminal_nothing_is_deleted(cli, workspace, things, kind):
    name, section, match, _ = things[kind]
    refused = cli(kind, "delete", name, "--json")
    assert refused.exit == ERROR, refused
    assert "destructive" in refused.error()["message"]
    assert trashed(workspace, section, **match) == []


def test_the_question_at_a_terminal(cli, workspace, things):
    name = things["project"][0]
    declined = cli.at_terminal("project", "delete", name, answer="n")
    assert (declined.exit, "Cancelled." in declined.stdout) == (OK, True), declined
    assert trashed(workspace, "projects", url=name) == []
    agreed = cli.at_terminal("project", "delete", name, answer="y")
    assert (agreed.exit, "to Trash" in agreed.stdout) == (OK, True), agreed
    assert len(trashed(workspace, "projects", url=name)) == 1


@pytest.mark.parametrize("kind,name", [("project", "nobody"), ("version", "nobody/1"), ("workflow", "nobody")])
def test_what_is_not_there(cli, kind, name):
    for act in (["delete", name, "--yes"], ["restore", name]):
        done = cli(kind, *act, "--json")
        assert done.exit == NOT_FOUND, done
        assert done.error()["message"]


def test_a_version_needs_its_number(cli, project):
    assert cli("version", "delete", slug(project), "--yes", "--json").exit == ERROR
    assert cli("version", "restore", slug(project), "--json").exit == ERROR


def test_a_taken_slug_and_a_trashed_parent(cli, things, new_project):
    """Both are conflicts: exit 1, and the text speaks for itself."""
    version, project = things["version"][0], things["project"][0]
    assert cli("version", "delete", version, "--yes").exit == OK
    assert cli("project", "delete", project, "--yes").exit == OK
    done = cli("version", "restore", version, "--json")
    assert done.exit == ERROR, done
    assert project in done.error()["message"]
    assert "in trash" in done.error()["message"].lower()

    name = slug(new_project())
    assert cli("project", "delete", name, "--yes").exit == OK
    assert cli("project", "create", name, "--type", "object-detection").exit == OK
    done = cli("project", "restore", name, "--json")
    assert done.exit == ERROR, done
    assert name in done.error()["message"]
    assert "pricing" not in done.stderr, "a word of ours made the CLI advertise a plan"


def test_trash_list(cli, workspace, things):
    for kind in ("version", "workflow"):
        assert cli(kind, "delete", things[kind][0], "--yes").exit == OK

    printed = cli("trash", "list", "--json")
    assert (printed.exit, printed.json()) == (OK, workspace.trash())

    table = cli("trash", "list").stdout
    for heading in ("TYPE", "ID", "NAME", "DELETED", "CLEANUP_AT", "BY"):
        assert heading in table
    assert "(v1)" in table
    (item,) = trashed(workspace, "workflows", url=things["workflow"][0])
    for field in ("id", "name", "deletedAt", "scheduledCleanupAt", "deletedByName"):
        assert item[field] in table

    name = things["project"][0]
    assert cli("project", "delete", name, "--yes").exit == OK
    (item,) = trashed(workspace, "projects", url=name)
    assert item["id"] in cli("trash", "list").stdout


def test_an_empty_trash(server, stranger, tmp_path):
    done = CLI(server, stranger, tmp_path)("trash", "list")
    assert (done.exit, done.stdout.strip()) == (OK, "(Trash is empty)")


def test_the_cli_has_no_way_to_delete_for_good(cli, workspace, project):
    internal = project.delete()["projectId"]
    for words in (["trash", "empty"], ["trash", "delete", internal], ["trash", "purge", internal]):
        assert cli(*words, "--json").exit == 2, "a usage error: there is no such command"
    assert len(trashed(workspace, "projects", id=internal)) == 1


def test_a_wrong_key(cli, things):
    for kind in ("project", "version", "workflow"):
        for act in (["delete", things[kind][0], "--yes"], ["restore", things[kind][0]]):
            assert cli(kind, *act, "--json", key="rf_nobody_has_this_key").exit == DENIED
    assert cli("trash", "list", "--json", key="rf_nobody_has_this_key").exit == DENIED


def test_a_project_is_back_for_everybody(cli, account, things):
    name = things["project"][0]
    assert cli("project", "delete", name, "--yes").exit == OK
    assert name not in projects_of(account)
    assert name not in cli("project", "list").stdout
    assert cli("project", "restore", name).exit == OK
    assert name in cli("project", "list").stdout
    assert cli("version", "list", "-p", name, "--json").json()[0]["id"] == f"{account.workspace}/{name}/1"
