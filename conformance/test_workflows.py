"""Workflows through rfapi, the SDK's adapter, and the CLI. Their deletion is in test_trash.py."""

import json

import pytest
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import RoboflowError

SPECIFICATION = {"version": "1.0", "inputs": [], "steps": [], "outputs": []}


def test_create_get_and_list(account):
    key, ws = account.api_key, account.workspace
    created = rfapi.create_workflow(key, ws, name="Count Bottles", config=SPECIFICATION)["workflow"]
    assert created["url"] == "count-bottles"

    by_slug = rfapi.get_workflow(key, ws, "count-bottles")["workflow"]
    assert (by_slug["name"], by_slug["url"]) == ("Count Bottles", "count-bottles")
    assert json.loads(by_slug["config"]) == {"specification": SPECIFICATION}
    assert rfapi.get_workflow(key, ws, by_slug["id"])["workflow"] == by_slug
    listed = {flow["url"]: flow for flow in rfapi.list_workflows(key, ws)["workflows"]}
    assert (listed["count-bottles"]["id"], listed["count-bottles"]["name"]) == (by_slug["id"], "Count Bottles")


def test_the_config_is_kept_to_the_letter(account):
    key, ws = account.api_key, account.workspace
    for number, text in enumerate(['{"specification": {"steps":[ ]}}', "not JSON at all", '{"ключ":  "ü"}', "{}"]):
        rfapi.create_workflow(key, ws, name=f"letter {number}", config=text)
        assert rfapi.get_workflow(key, ws, f"letter-{number}")["workflow"]["config"] == text


def test_a_long_definition_travels_in_the_url(account):
    key, ws = account.api_key, account.workspace
    text = json.dumps({"specification": {"steps": [{"type": "x", "name": "n" * 50} for _ in range(1500)]}})
    assert len(text) > 100_000
    rfapi.create_workflow(key, ws, name="long", config=text)
    assert rfapi.get_workflow(key, ws, "long")["workflow"]["config"] == text


def test_update_adds_a_version(account):
    key, ws = account.api_key, account.workspace
    rfapi.create_workflow(key, ws, name="evolving", config=SPECIFICATION)
    flow = rfapi.get_workflow(key, ws, "evolving")["workflow"]
    before = len(rfapi.list_workflow_versions(key, ws, "evolving")["versions"])
    rfapi.update_workflow(
        key,
        ws,
        workflow_id=flow["id"],
        workflow_name="Evolved",
        workflow_url="evolving",
        config={"specification": {"steps": [1]}},
    )
    after = rfapi.get_workflow(key, ws, "evolving")["workflow"]
    assert (after["id"], after["name"], json.loads(after["config"])) == (
        flow["id"],
        "Evolved",
        {"specification": {"steps": [1]}},
    )
    versions = rfapi.list_workflow_versions(key, ws, "evolving")["versions"]
    assert len(versions) == before + 1
    assert all({"version", "created"} <= set(version) for version in versions)


def test_a_taken_slug_is_a_conflict_and_a_trashed_one_is_free(server, account):
    key, ws = account.api_key, account.workspace
    rfapi.create_workflow(key, ws, name="single")
    parameters = {"name": "single", "url": "single", "template": "{}", "config": "{}"}
    answer = server.request("POST", f"/{ws}/createWorkflow", account, params=parameters)
    assert answer.status_code == 409, answer.text
    deleted = rfapi.delete_workflow(key, ws, "single")["workflowId"]
    assert rfapi.create_workflow(key, ws, name="single")["workflow"]["url"] == "single"
    with pytest.raises(RoboflowError) as refusal:
        rfapi.restore_trash_item(key, ws, "workflow", deleted)
    assert refusal.value.status_code == 409


def test_a_name_without_a_latin_letter_gets_a_slug(account):
    created = rfapi.create_workflow(account.api_key, account.workspace, name="Бутылки")["workflow"]
    assert created["url"]
    assert rfapi.get_workflow(account.api_key, account.workspace, created["url"])["workflow"]["name"] == "Бутылки"


def test_cli_workflow_commands(cli, tmp_path):
    (tmp_path / "flow.json").write_text(json.dumps(SPECIFICATION))
    created = cli(
        "workflow", "create", "--name", "From The Shell", "--definition", str(tmp_path / "flow.json"), "--json"
    )
    assert created.exit == 0, created
    assert "from-the-shell" in [flow["url"] for flow in cli("workflow", "list", "--json").json()]
    got = cli("workflow", "get", "from-the-shell", "--json").json()["workflow"]
    assert json.loads(got["config"]) == {"specification": SPECIFICATION}
    assert cli("workflow", "update", "from-the-shell", "--json").exit == 0
    assert cli("workflow", "get", "from-the-shell", "--json").json()["workflow"]["config"] == got["config"]
    assert len(cli("workflow", "version", "list", "from-the-shell", "--json").json()) >= 1
    assert cli("workflow", "get", "nobody", "--json").exit == 3
    assert cli("workflow", "fork", "from-the-shell", "--json").exit == 1
