"""Delete, hide, restore, through the SDK: what Roboflow's page "Delete and Restore" promises, sentence by sentence.

The short names (D1 …, R1 …) are those of the rules of Trash.
"""

import re

import pytest
import requests
from harness import pictures
from harness.clients import generate, projects_of, slug, trashed
from harness.server import instant
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import AnnotationSaveError, ImageUploadError, RoboflowError

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
HOW = ("handle", "slug", "id")


@pytest.fixture
def workflow(account):
    """A workflow, as the SDK's adapter makes it: {"id", "url", "name", …}."""
    name = f"Sorting {len(rfapi.list_workflows(account.api_key, account.workspace)['workflows'])}"
    rfapi.create_workflow(
        account.api_key,
        account.workspace,
        name=name,
        config={"version": "1.0", "inputs": [], "steps": [], "outputs": []},
    )
    listed = rfapi.list_workflows(account.api_key, account.workspace)["workflows"]
    return next(flow for flow in listed if flow["name"] == name)


def delete_project(how, account, project):
    if how == "handle":
        return project.delete()
    if how == "slug":
        return rfapi.delete_project(account.api_key, account.workspace, slug(project))
    item = project.delete()["projectId"]  # its internal id is what the first deletion says
    project.restore()
    return rfapi.delete_project(account.api_key, account.workspace, item)


def restore_project(how, workspace, project, item_id):
    if how == "handle":
        return project.restore()
    if how == "slug":
        return workspace.restore_from_trash("project", trashed(workspace, "projects", url=slug(project))[0]["id"])
    return workspace.restore_from_trash("project", item_id)


@pytest.mark.parametrize("how", HOW)
def test_project(workspace, account, filled_project, how):
    project, name = filled_project, slug(filled_project)
    generate(project, account)
    before = rfapi.get_project(account.api_key, account.workspace, name)

    answer = delete_project(how, account, project)
    assert answer["deleted"] is True
    assert answer["trash"] is True
    assert (answer["type"], answer["workspace"], answer["project"]) == ("project", account.workspace, name)
    assert name not in projects_of(account)
    with pytest.raises(RoboflowError) as refusal:
        workspace.project(name)
    assert refusal.value.status_code == 404
    assert len(trashed(workspace, "projects", url=name, id=answer["projectId"])) == 1

    answer = restore_project(how, workspace, project, answer["projectId"])
    assert (answer["restored"], answer["type"]) == (True, "project")
    assert trashed(workspace, "projects", url=name) == []
    assert name in projects_of(account)
    assert rfapi.get_project(account.api_key, account.workspace, name) == before, "R1: it comes back exactly as it was"


@pytest.mark.parametrize("how", HOW)
def test_version(workspace, account, filled_project, how):
    project, name = filled_project, slug(filled_project)
    version = generate(project, account)
    generate(project, account)
    before = rfapi.get_project(account.api_key, account.workspace, name)

    if how == "handle":
        answer = version.delete()
    else:  # a version has no other name than its number
        answer = rfapi.delete_version(account.api_key, account.workspace, name, "1" if how == "slug" else 1)
    assert answer["deleted"] is True
    assert answer["trash"] is True
    assert (answer["type"], answer["workspace"], answer["project"]) == ("version", account.workspace, name)
    assert answer["version"] == "1"
    assert [entry["id"] for entry in project.get_version_information()] == [f"{project.id}/2"]
    with pytest.raises(RuntimeError, match="1"):
        project.version(1)
    with pytest.raises(RoboflowError):
        rfapi.get_version(account.api_key, account.workspace, name, "1")
    (item,) = trashed(workspace, "versions", id="1", parentUrl=name)
    assert item["parentId"] == answer["projectId"]

    if how == "handle":
        answer = version.restore()
    else:
        answer = workspace.restore_from_trash("version", "1" if how == "slug" else 1, item["parentId"])
    assert (answer["restored"], answer["type"], answer["id"]) == (True, "version", "1")
    assert trashed(workspace, "versions", parentUrl=name) == []
    assert rfapi.get_project(account.api_key, account.workspace, name) == before


@pytest.mark.parametrize("how", ["slug", "id"])
def test_workflow(workspace, account, workflow, how):
    def listed():
        return {flow["url"] for flow in rfapi.list_workflows(account.api_key, account.workspace)["workflows"]}

    before = rfapi.get_workflow(account.api_key, account.workspace, workflow["url"])
    answer = rfapi.delete_workflow(account.api_key, account.workspace, workflow["url" if how == "slug" else "id"])
    assert answer["deleted"] is True
    assert answer["trash"] is True
    assert (answer["type"], answer["workspace"]) == ("workflow", account.workspace)
    assert (answer["workflow"], answer["workflowId"]) == (workflow["url"], workflow["id"])
    assert workflow["url"] not in listed()
    for name in (workflow["url"], workflow["id"]):
        with pytest.raises(RoboflowError):
            rfapi.get_workflow(account.api_key, account.workspace, name)

    (item,) = trashed(workspace, "workflows", url=workflow["url"])
    assert item["id"] == workflow["id"]
    answer = rfapi.restore_trash_item(account.api_key, account.workspace, "workflow", item["id"])
    assert (answer["restored"], answer["type"], answer["id"]) == (True, "workflow", workflow["id"])
    assert workflow["url"] in listed()
    assert rfapi.get_workflow(account.api_key, account.workspace, workflow["url"]) == before


def test_runtime_error_when_not_in_trash(account, filled_project):
    version = generate(filled_project, account)
    with pytest.raises(RuntimeError, match="not in Trash"):
        filled_project.restore()
    with pytest.raises(RuntimeError, match="not in Trash"):
        version.restore()

    # What lies below a deleted project is hidden by it, and is no item of its own.
    filled_project.delete()
    with pytest.raises(RuntimeError, match="not in Trash"):
        version.restore()
    filled_project.restore()
    with pytest.raises(RuntimeError, match="not in Trash"):
        filled_project.restore()
    assert filled_project.version(1).id == version.id


def test_restore_of_what_is_not_in_trash_by_id(workspace, project):
    item = project.delete()["projectId"]
    project.restore()
    for kind, item_id, parent in [
        ("project", item, None),
        ("project", "d_nobody", None),
        ("version", "1", item),
        ("workflow", "wf_nobody", None),
    ]:
        with pytest.raises(RoboflowError, match="not found in trash") as refusal:
            workspace.restore_from_trash(kind, item_id, parent)
        assert refusal.value.status_code == 404


def test_parents_first(workspace, account, filled_project):
    """R2: a version needs its project."""
    version = generate(filled_project, account)
    other = generate(filled_project, account)
    version.delete()
    filled_project.delete()
    before = workspace.trash()
    (item,) = trashed(workspace, "versions", parentUrl=slug(filled_project))
    assert item["id"] == "1", "version 2 is hidden by its project, and no item"

    with pytest.raises(RoboflowError) as refusal:
        version.restore()
    assert refusal.value.status_code == 409
    text = str(refusal.value).lower()
    assert slug(filled_project) in text, "the answer names the parent"
    assert "in trash" in text
    assert "not in trash" not in text
    assert workspace.trash() == before

    filled_project.restore()
    assert [entry["id"] for entry in filled_project.get_version_information()] == [other.id], (
        "what was in Trash by itself before its parent stays there"
    )
    assert version.restore()["restored"] is True
    assert len(filled_project.get_version_information()) == 2


def check_item(item, kind):
    assert item["type"] == kind
    assert item["id"] and isinstance(item["id"], str)
    assert item["name"]
    for field in ("deletedAt", "scheduledCleanupAt"):
        assert TIME.fullmatch(item[field]), (field, item[field])
    assert item["deletedAt"] < item["scheduledCleanupAt"]
    for field in ("deletedBy", "deletedByName"):
        assert item[field] and isinstance(item[field], str), field


def test_trash_has_all_sections_and_fields(workspace, account, filled_project, new_project, workflow):
    other = new_project("Shelf")
    item_of_other = other.delete()["projectId"]
    version = generate(filled_project, account)
    answer = version.delete()
    rfapi.delete_workflow(account.api_key, account.workspace, workflow["url"])

    trash = workspace.trash()
    sections = trash["sections"]
    assert set(sections) >= {"projects", "versions", "workflows", "trainings", "images"}
    assert all(isinstance(section, list) for section in sections.values()), "a null would break the clients"
    in_sections = [
        (item["type"], item["id"], item.get("parentId")) for section in sections.values() for item in section
    ]
    assert sorted(in_sections, key=str) == sorted(
        [(item["type"], item["id"], item.get("parentId")) for item in trash["items"]], key=str
    )

    (item,) = [item for item in sections["projects"] if item["id"] == item_of_other]
    check_item(item, "project")
    assert (item["name"], item["url"]) == ("Shelf", slug(other))
    assert isinstance(item["cleanupDeleteImages"], bool)

    (item,) = [item for item in sections["versions"] if item["parentUrl"] == slug(filled_project)]
    check_item(item, "version")
    assert (item["id"], item["parentId"], item["parentName"]) == ("1", answer["projectId"], filled_project.name)

    (item,) = [item for item in sections["workflows"] if item["id"] == workflow["id"]]
    check_item(item, "workflow")
    assert (item["name"], item["url"]) == (workflow["name"], workflow["url"])
    assert (sections["trainings"], sections["images"]) == ([], [])


def test_retention_is_thirty_days(workspace, project):
    project.delete()
    (item,) = trashed(workspace, "projects", url=slug(project))
    assert instant(item["scheduledCleanupAt"]) - instant(item["deletedAt"]) == pytest.approx(30 * 24 * 3600, abs=1)


def test_again_is_harmless(workspace, project):
    """D8: nothing changes, not even the dates; the answer is that of a project which is not there."""
    project.delete()
    before = workspace.trash()
    with pytest.raises(RoboflowError) as refusal:
        project.delete()
    assert refusal.value.status_code == 404
    assert workspace.trash() == before


def test_everything_is_hidden_at_once(server, workspace, account, filled_project, tmp_path):
    """D3: no list, search, count, export, download or get shows it, by any id; nothing goes into it."""
    project, name, key = filled_project, slug(filled_project), account.api_key
    folder = workspace.create_folder("Hides", project_ids=[name])["id"]
    path = pictures.draw(tmp_path / "twin.jpg")
    image_id = project.single_upload(image_path=str(path))["image"]["id"]
    version = generate(project, account)
    version.export("coco")
    zip_link = rfapi.get_version_export(key, account.workspace, name, "1", "coco")["export"]["link"]
    image_link = project.image(image_id)["urls"]["original"]
    for link in (zip_link, image_link):
        assert requests.get(link, timeout=30).status_code == 200

    internal = project.delete()["projectId"]

    for link in (zip_link, image_link):
        assert requests.get(link, timeout=30).status_code in (404, 410), (
            "a link that was handed out dies with the thing"
        )
    for route in (name, internal, f"{name}/1", f"{name}/1/coco", f"{name}/images/{image_id}", f"{name}/1/v2/trainings"):
        answer = server.request("GET", f"/{account.workspace}/{route}", account)
        assert answer.status_code == 404, f"GET {route}: {answer.status_code}"
    for route in (f"{name}/search", f"{name}/generate", f"{name}/1/v2/trainings"):
        answer = server.request(
            "POST", f"/{account.workspace}/{route}", account, json={"preprocessing": {}, "augmentation": {}}
        )
        assert answer.status_code == 404, f"POST {route}: {answer.status_code}"
    with pytest.raises(ImageUploadError) as refusal:
        project.single_upload(image_path=str(path))  # never a duplicate of what is in Trash
    assert refusal.value.status_code == 404
    with pytest.raises(AnnotationSaveError) as refusal:
        project.save_annotation({"name": "a.txt", "rawText": "0 .5 .5 .1 .1"}, {0: "x"}, image_id=image_id)
    assert refusal.value.status_code == 404
    with pytest.raises(RoboflowError):
        version.export("yolov5pytorch")
    with pytest.raises(RuntimeError):
        project.version(1)
    assert name not in str(rfapi.list_folders(key, account.workspace))

    project.restore()
    assert project.image(image_id)["name"] == "twin.jpg"
    assert requests.get(project.image(image_id)["urls"]["original"], timeout=30).content == path.read_bytes()
    assert version.download("coco", location=str(tmp_path / "again")).version == "1"
    (shown,) = [entry for entry in rfapi.list_folders(key, account.workspace)["data"] if entry["id"] == folder]
    assert len(shown["projects"]) == 1, "R1: in its folder"


def test_version_numbers_are_never_used_again(filled_project, account):
    """D6"""
    generate(filled_project, account)
    generate(filled_project, account).delete()
    assert generate(filled_project, account).version == "3"
    filled_project.delete()
    filled_project.restore()
    assert generate(filled_project, account).version == "4"


def test_the_name_is_free_and_the_restore_says_so(server, workspace, account, new_project):
    """D7, R3: the slug can be taken; then the restore names the conflict and a free slug, and takes a new one."""
    first = new_project("Contested")
    internal = first.delete()["projectId"]
    second = new_project("Contested")
    assert slug(second) == slug(first) == "contested"

    before = workspace.trash()
    with pytest.raises(RoboflowError) as refusal:
        workspace.restore_from_trash("project", internal)
    assert refusal.value.status_code == 409
    assert "contested" in str(refusal.value)
    free = re.search(r"contested-[a-z0-9-]+", str(refusal.value))
    assert free, "it proposes a free slug"
    assert workspace.trash() == before

    path, body = f"/{account.workspace}/trash/restore", {"type": "project", "id": internal, "newUrl": free[0]}
    answer = server.request("POST", path, account, json=body)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["restored"], answer.json()["url"]) == (True, free[0])
    assert {"contested", free[0]} <= set(projects_of(account))


def test_of_two_with_one_slug_the_newest_comes_first(workspace, new_project):
    """R7: clients take the first match."""
    first = new_project("Again")
    older = first.delete()["projectId"]
    second = new_project("Again")
    newer = second.delete()["projectId"]
    assert [item["id"] for item in trashed(workspace, "projects", url="again")] == [newer, older]
    assert second.restore()["id"] == newer
    assert [item["id"] for item in trashed(workspace, "projects", url="again")] == [older]


def test_versions_whose_project_is_active_come_first(workspace, account, new_project, upload):
    """R7: the version of a trashed project that had the same slug is not in the way."""
    first = new_project("Namesake")
    upload(first)
    generate(first, account).delete()
    first.delete()
    second = new_project("Namesake")
    upload(second)
    version = generate(second, account)
    version.delete()
    items = trashed(workspace, "versions", id="1", parentUrl="namesake")
    assert len(items) == 2
    assert version.restore()["restored"] is True
    assert second.version(1).id == f"{account.workspace}/namesake/1"


def test_the_folder_is_gone(workspace, account, project):
    """R4: back to the root of the workspace, and the answer says so."""
    folder = workspace.create_folder("Shed", project_ids=[slug(project)])["id"]
    project.delete()
    rfapi.delete_folder(account.api_key, account.workspace, folder)
    assert project.restore()["restoredToRoot"] is True
    assert slug(project) in projects_of(account)


def test_uploads_create_a_deleted_project_anew(workspace, filled_project, tmp_path):
    """A sync script that runs after a deletion takes the slug; the deleted project stays as it was in Trash."""
    name = slug(filled_project)
    internal = filled_project.delete()["projectId"]
    pictures.draw(tmp_path / "sync" / "one.jpg")
    workspace.upload_dataset(str(tmp_path / "sync"), name)
    assert workspace.project(name).images == 1
    with pytest.raises(RoboflowError) as refusal:
        workspace.restore_from_trash("project", internal)
    assert refusal.value.status_code == 409


def test_unknown_types_and_missing_parents(server, account):
    path = f"/{account.workspace}/trash/restore"
    for body in (
        {"type": "dataset", "id": "d_x"},
        {"type": "folder", "id": "grp_x"},
        {"type": "version", "id": "1"},
        {"type": "project"},
        {"type": "project", "id": ""},
        {"id": "d_x"},
    ):
        answer = server.request("POST", path, account, json=body)
        assert answer.status_code == 400, (body, answer.status_code, answer.text)
        assert isinstance(answer.json()["error"], str), "flat, as the clients of Trash read it"


@pytest.mark.parametrize(
    "method,path",
    [
        ("DELETE", "/{ws}/trash"),
        ("DELETE", "/{ws}/trash/{id}"),
        ("DELETE", "/{ws}/trash/project/{id}"),
        ("POST", "/{ws}/trash/empty"),
        ("POST", "/{ws}/trash/deleteImmediately"),
        ("POST", "/{ws}/trash"),
        ("PUT", "/{ws}/trash/restore"),
    ],
)
def test_no_key_deletes_for_good(server, workspace, account, project, method, path):
    """P2: there is no such door on the API."""
    internal = project.delete()["projectId"]
    answer = server.request(
        method, path.format(ws=account.workspace, id=internal), account, json={"type": "project", "id": internal}
    )
    assert answer.status_code in (403, 404, 405), answer.text
    assert len(trashed(workspace, "projects", id=internal)) == 1
    assert project.restore()["restored"] is True
