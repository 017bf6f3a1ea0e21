"""The stray script: everything is deleted through the official SDK, and one command of ours brings it back."""

import json
import os
import subprocess

import pytest
import requests
from harness.clients import generate, projects_of, slug
from roboflow.adapters import rfapi


@pytest.fixture
def cullet(binary, server, account):
    def run(*args, code=0):
        env = os.environ | {"API_URL": server.url, "ROBOFLOW_API_KEY": account.api_key}
        done = subprocess.run([binary, *args], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == code, (args, done)
        return done.stdout

    return run


@pytest.fixture
def own(server, account):
    def get(path, **query):
        return requests.get(f"{server.url}/-/v1/{account.workspace}/{path}", params=query | {"api_key": account.api_key}, timeout=30)

    return get


def test_one_operation_brings_back_what_a_script_deleted(workspace, account, filled_project, new_project, cullet, own):
    generate(filled_project, account)
    other = new_project()
    rfapi.create_workflow(account.api_key, account.workspace, name="Stray", url="stray-flow")
    names = {slug(filled_project), slug(other)}

    # The script: versions first, then their projects, then workflows.
    filled_project.version(1).delete()
    workspace.project(slug(filled_project)).delete()
    workspace.project(slug(other)).delete()
    rfapi.delete_workflow(account.api_key, account.workspace, "stray-flow")
    assert len(workspace.trash()["items"]) == 4

    dry = json.loads(cullet("trash", "preview", "--days", "31", "--json"))
    assert dry["Items"] == 4 and dry["FreedBytes"] > 0 and dry["Images"] > 0
    assert own("trash/preview", days=1).json()["items"] == 0
    assert "nothing was changed" in cullet("trash", "preview", "--days", "31")

    plan = json.loads(cullet("trash", "rescue", "--last", "1h", "--means", "key", "--dry-run", "--json"))
    assert [i["Type"] for i in plan["Report"]] == ["project", "project", "version", "workflow"], "parents first"
    assert len(workspace.trash()["items"]) == 4, "a dry run changes nothing"

    who = workspace.trash()["items"][0]["deletedByName"]
    assert "4 of 4 restored, 0 left out" in cullet("trash", "rescue", "--deleted-by", who)
    assert workspace.trash()["items"] == []
    assert names <= set(projects_of(account))
    assert workspace.project(slug(filled_project)).version(1).version == "1"
    assert "0 of 0 restored" in cullet("trash", "rescue", "--deleted-by", who)


def test_what_lost_its_name_is_left_out_and_said(workspace, account, new_project, cullet):
    project = new_project("Taken Twice")
    project.delete()
    new_project("Taken Twice")
    report = cullet("trash", "rescue", "--last", "1h", code=1)
    assert "taken-twice-2" in report and "0 of 1 restored, 1 left out" in report
    assert "1 of 1 restored" in cullet("trash", "rescue", "--last", "1h", "--rename")
    assert workspace.project("taken-twice-2")


@pytest.mark.parametrize("body", [{}, {"types": ["project"]}, {"deletedBy": "x", "types": ["dataset"]}, {"from": "yesterday"}])
def test_a_rescue_of_nothing_in_particular_is_refused(server, account, body):
    url = f"{server.url}/-/v1/{account.workspace}/trash/rescue"
    answer = requests.post(url, json=body, params={"api_key": account.api_key}, timeout=30)
    assert answer.status_code == 400 and answer.json()["error"], answer.text


@pytest.mark.parametrize("query", [{}, {"days": "-1"}, {"days": "x"}, {"days": "99999999"}, {"days": "1", "item": "ti_x"}])
def test_a_dry_run_of_nothing_in_particular_is_refused(own, query):
    assert own("trash/preview", **query).status_code == 400


def test_storage_is_exact_at_every_answer(workspace, filled_project, own):
    before = own("storage").json()
    workspace.project(slug(filled_project)).delete()
    after = own("storage").json()
    assert after["trashBytes"] > before["trashBytes"], "what lies in Trash still counts (D9)"
    assert after["activeBytes"] + after["trashBytes"] == before["activeBytes"] + before["trashBytes"]


def test_the_audit_comes_as_lines_that_chain(own, new_project):
    new_project().delete()
    answer = own("audit")
    assert answer.status_code == 200
    entries = [json.loads(line) for line in answer.text.splitlines()]
    assert "delete" in {e["act"] for e in entries}
    before = ""
    for e in entries:
        assert json.loads(e["chained"])[-1] == before
        before = e["hash"]


def test_nobody_of_another_workspace_sees_any_of_it(server, account, stranger):
    for method, path in [("GET", "storage"), ("GET", "audit"), ("GET", "trash/preview?days=1"), ("GET", "trash/status"), ("POST", "trash/rescue")]:
        answer = requests.request(
            method, f"{server.url}/-/v1/{account.workspace}/{path}", headers={"Authorization": f"Bearer {stranger.api_key}"}, json={"means": "key"}, timeout=30
        )
        assert answer.status_code in (401, 404), (path, answer.status_code)
