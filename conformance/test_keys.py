"""Who may come in: the key check, scopes, and what a stranger learns (nothing)."""

import pytest
import requests
import roboflow
from harness.clients import projects_of, slug
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import RoboflowError


def test_the_key_names_its_workspace(server, account):
    answer = server.request("POST", "/", account)
    assert answer.status_code == 200
    assert answer.json()["workspace"] == account.workspace
    assert any(letter.islower() for letter in account.api_key), (
        "the SDK takes a key without a lower-case letter for a dummy"
    )


def test_a_key_works_in_the_query_and_in_the_header(server, account):
    path = f"{server.url}/{account.workspace}"
    assert requests.get(path, params={"api_key": account.api_key}, timeout=30).status_code == 200
    assert requests.get(path, headers={"Authorization": f"Bearer {account.api_key}"}, timeout=30).status_code == 200


def test_a_wrong_key_is_refused_at_once():
    with pytest.raises(RuntimeError) as refusal:  # only a 401 ends the SDK's five retries
        roboflow.Roboflow(api_key="rf_nobody_has_this_key")
    assert "nobody_has_this_key" not in str(refusal.value)


@pytest.mark.parametrize(
    "method,path", [("GET", "/{ws}"), ("GET", "/{ws}/p"), ("GET", "/{ws}/trash"), ("DELETE", "/{ws}/p"), ("POST", "/")]
)
def test_without_a_key_or_with_a_wrong_one_401(server, account, method, path):
    url = server.url + path.format(ws=account.workspace)
    for parameters in ({}, {"api_key": ""}, {"api_key": "rf_nobody_has_this_key"}):
        assert requests.request(method, url, params=parameters, timeout=30).status_code == 401


def test_cli_ends_with_2_on_a_wrong_key(cli, project):
    for words in (
        ["trash", "list"],
        ["project", "delete", slug(project), "--yes"],
        ["project", "restore", slug(project)],
    ):
        done = cli(*words, "--json", key="rf_nobody_has_this_key")
        assert done.exit == 2, done
        assert done.error()["message"]
    assert cli("project", "get", slug(project)).exit == 0


def test_unknown_workspace_project_and_version(workspace, account, filled_project):
    with pytest.raises(RoboflowError, match="no-such-workspace"):
        roboflow.Roboflow(api_key=account.api_key).workspace("no-such-workspace")
    with pytest.raises(RoboflowError, match="no-such-project") as refusal:
        workspace.project("no-such-project")
    assert refusal.value.status_code == 404
    with pytest.raises(RuntimeError, match="no-such-project"):
        roboflow.Roboflow(api_key=account.api_key).project("no-such-project")
    with pytest.raises(RuntimeError, match="77"):
        filled_project.version(77)
    with pytest.raises(RoboflowError, match="77"):
        rfapi.get_version(account.api_key, account.workspace, slug(filled_project), "77")
    with pytest.raises(RoboflowError, match="no-such-workflow"):
        rfapi.get_workflow(account.api_key, account.workspace, "no-such-workflow")


@pytest.mark.parametrize(
    "method,path,body",
    [
        ("GET", "/{ws}", None),
        ("GET", "/{ws}/bottles", None),
        ("GET", "/{ws}/bottles/1", None),
        ("GET", "/{ws}/bottles/1/coco", None),
        ("GET", "/{ws}/bottles/images/img_x", None),
        ("GET", "/{ws}/bottles/1/v2/trainings", None),
        ("GET", "/{ws}/trash", None),
        ("GET", "/{ws}/workflows", None),
        ("GET", "/{ws}/groups", None),
        ("GET", "/{ws}/api-keys", None),
        ("GET", "/-/v1/{ws}/ledger", None),
        ("POST", "/{ws}/projects", {"name": "Mine", "type": "object-detection", "license": "MIT", "annotation": "x"}),
        ("POST", "/{ws}/trash/restore", {"type": "project", "id": "d_x"}),
        ("DELETE", "/{ws}/bottles", None),
        ("DELETE", "/{ws}/bottles/1", None),
        ("DELETE", "/{ws}/workflows/flow", None),
    ],
)
def test_a_foreign_workspace_answers_like_an_unknown_one(server, account, stranger, method, path, body):
    foreign = server.request(method, path.format(ws=stranger.workspace), account, json=body)
    unknown = server.request(method, path.format(ws="no-such-workspace"), account, json=body)
    assert foreign.status_code == unknown.status_code
    assert foreign.status_code in (401, 404)
    assert foreign.text.replace(stranger.workspace, "WS") == unknown.text.replace("no-such-workspace", "WS")


def test_the_ids_of_another_workspace_mean_nothing_here(server, account, stranger, filled_project, upload):
    ws, mine = account.workspace, slug(filled_project)
    theirs = server.request(
        "POST", f"/{stranger.workspace}/projects", stranger,
        json={"name": "Secret", "type": "object-detection", "license": "MIT", "annotation": "x"},
    ).json()  # fmt: skip
    their_folder = server.request("POST", f"/{stranger.workspace}/groups", stranger, json={"name": "F"}).json()["id"]
    deleted = server.request("DELETE", f"/{theirs['id']}", stranger).json()
    trash_of_theirs = server.request("GET", f"/{stranger.workspace}/trash", stranger).json()

    answer = server.request(
        "POST", f"/{ws}/trash/restore", account, json={"type": "project", "id": deleted["projectId"]}
    )
    assert (answer.status_code, "not found in trash" in answer.text) == (404, True), answer.text
    answer = server.request("GET", f"/{ws}/groups", account, params={"groupId": their_folder})
    assert answer.status_code == 404 or answer.json() == {"data": []}, answer.text
    answer = server.request("PATCH", f"/{ws}/groups/{their_folder}/projects", account, json={"projects": [mine]})
    assert answer.status_code == 404, answer.text

    image = upload(filled_project)
    answer = server.request("GET", f"/{stranger.workspace}/{mine}/images/{image}", stranger)
    assert answer.status_code == 404, answer.text
    assert server.request("GET", f"/{stranger.workspace}/trash", stranger).json() == trash_of_theirs


def test_an_image_is_found_only_through_its_project(server, account, new_project, upload):
    one, other = new_project(), new_project()
    image = upload(one)
    assert server.request("GET", f"/{one.id}/images/{image}", account).status_code == 200
    assert server.request("GET", f"/{other.id}/images/{image}", account).status_code == 404


def test_a_key_does_only_what_its_scopes_say(server, account, project):
    reader = rfapi.create_api_key(account.api_key, account.workspace, name="reader", scopes=["project:read"])["key"]
    nothing = rfapi.create_api_key(account.api_key, account.workspace, name="nothing", scopes=[])["key"]
    name = slug(project)

    assert rfapi.get_project(reader, account.workspace, name)["project"]["id"] == project.id
    assert "sections" in rfapi.list_trash(reader, account.workspace)
    with pytest.raises(RoboflowError) as refusal:
        rfapi.delete_project(reader, account.workspace, name)
    assert refusal.value.status_code == 401
    assert name in projects_of(account)

    # What a key may not see, it cannot guess: there or not, the answer is the same.
    there = server.request("DELETE", f"/{account.workspace}/{name}", account, key=nothing)
    not_there = server.request("DELETE", f"/{account.workspace}/no-such-project", account, key=nothing)
    assert there.status_code == not_there.status_code == 401
    assert there.text.replace(name, "P") == not_there.text.replace("no-such-project", "P")


def test_a_reader_may_list_trash_but_not_restore(account, project):
    reader = rfapi.create_api_key(account.api_key, account.workspace, name="reader", scopes=["project:read"])["key"]
    item = project.delete()["projectId"]
    with pytest.raises(RoboflowError) as refusal:
        rfapi.restore_trash_item(reader, account.workspace, "project", item)
    assert refusal.value.status_code == 401
    assert slug(project) in str(rfapi.list_trash(reader, account.workspace))
    project.restore()


def test_api_key_commands(cli, project):
    created = cli("api-key", "create", "ci", "--scope", "project:read", "--json").json()
    key, key_id = created["key"], created["keyId"]
    assert any(letter.islower() for letter in key)

    listed = {entry["keyId"]: entry for entry in cli("api-key", "list", "--json").json()["apiKeys"]}
    assert listed[key_id]["name"] == "ci"
    assert listed[key_id]["disabled"] is False
    assert key not in str(listed), "the secret is shown once, when the key is made"
    assert key.startswith(listed[key_id]["prefix"])

    got = cli("api-key", "get", key_id, "--json").json()
    got = got.get("apiKey", got)
    assert (got["keyId"], got["scopes"]) == (key_id, ["project:read"])

    assert cli("project", "get", slug(project), key=key).exit == 0
    done = cli("project", "delete", slug(project), "--yes", "--json", key=key)
    assert done.exit == 2, done

    assert cli("api-key", "update", key_id, "--name", "ci2", "--json").exit == 0
    assert cli("api-key", "disable", key_id, "--json").exit == 0
    assert cli("trash", "list", key=key).exit == 2
    assert cli("api-key", "disable", key_id, "--enable", "--json").exit == 0
    assert cli("trash", "list", key=key).exit == 0

    refused = cli("api-key", "revoke", key_id)
    assert (refused.exit, "confirmation" in refused.stderr) == (1, True)
    assert cli("trash", "list", key=key).exit == 0
    assert cli("api-key", "revoke", key_id, "--yes", "--json").exit == 0
    assert cli("trash", "list", key=key).exit == 2
    assert cli("api-key", "get", key_id, "--json").exit == 3


def test_a_protected_key_is_not_revoked(cli):
    key_id = cli("api-key", "create", "precious", "--json").json()["keyId"]
    assert cli("api-key", "protect", key_id, "--json").exit == 0
    for words in (["api-key", "revoke", key_id, "--yes"], ["api-key", "disable", key_id]):
        done = cli(*words, "--json")
        assert done.exit == 1, done
        assert done.error()["message"]
    listed = cli("api-key", "list", "--json").json()["apiKeys"]
    assert next(entry for entry in listed if entry["keyId"] == key_id)["protected"] is True


def test_a_key_mints_no_key_with_more_rights(account):
    scopes = ["project:read", "api-key:create"]
    maker = rfapi.create_api_key(account.api_key, account.workspace, name="maker", scopes=scopes)["key"]
    for wanted in (rfapi.FULL_ACCESS, ["project:read", "project:update"]):
        with pytest.raises(RoboflowError) as refusal:
            rfapi.create_api_key(maker, account.workspace, name="more", scopes=wanted)
        assert 400 <= refusal.value.status_code < 500
    inherited = rfapi.create_api_key(maker, account.workspace, name="same")
    got = rfapi.get_api_key(account.api_key, account.workspace, inherited["keyId"])
    assert sorted(got.get("apiKey", got)["scopes"]) == sorted(scopes)
    assert "more" not in {key["name"] for key in rfapi.list_api_keys(account.api_key, account.workspace)["apiKeys"]}


def test_routes_that_are_not_built_say_so(server, account, cli):
    for method, path in [
        ("GET", f"/{account.workspace}/devices/v2"),
        ("GET", f"/batch-processing/v1/external/{account.workspace}/jobs"),
        ("POST", "/vision-events"),
        ("POST", f"/{account.workspace}/projects/fork"),
        ("POST", f"/{account.workspace}/api-keys/key_x/roll"),
    ]:
        answer = server.request(method, path, account)
        assert answer.status_code == 501, f"{method} {path}: {answer.status_code} {answer.text}"
        assert answer.json()["error"]
    done = cli("batch", "list", "--json")
    assert done.exit == 1, done
