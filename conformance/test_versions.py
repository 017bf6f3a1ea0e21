"""Versions: frozen, numbered, exported, downloaded."""

import json
import re
from pathlib import Path

import pytest
import requests
import yaml
from harness import pictures
from harness.clients import NOTHING_DONE, generate, get_version, slug
from PIL import Image
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import RoboflowError

BOX = ("bottle", 10, 8, 40, 30)
JAR = ("jar", 50, 20, 20, 36)
EXPORTED_NAME = r"{stem}_{suffix}\.rf\.[0-9a-f]{{32}}\.{suffix}"  # the bytes as they came: nothing is encoded anew


def test_generate_and_wait(filled_project, account):
    number = filled_project.generate_version(NOTHING_DONE)
    assert number == 1
    version = filled_project.version(number)
    version.export("coco")  # waits for the generation by itself, then for the export

    got = get_version(filled_project, account, number)
    assert got["generating"] is False
    assert (got["images"], got["splits"]) == (3, {"train": 1, "valid": 1, "test": 1})
    assert "coco" in got["exports"]
    (listed,) = filled_project.get_version_information()
    assert listed["id"] == f"{filled_project.id}/1"
    assert (listed["images"], listed["preprocessing"], listed["augmentation"]) == (3, {}, {})
    assert "coco" in listed["exports"]
    assert filled_project.version(1).id == f"{filled_project.id}/1"


def test_versions_are_listed_newest_first(filled_project, account):
    generate(filled_project, account)
    generate(filled_project, account)
    assert [version["id"].split("/")[2] for version in filled_project.get_version_information()] == ["2", "1"]
    assert [version.version for version in filled_project.versions()] == ["2", "1"]


def test_a_version_is_frozen(filled_project, account, upload, tmp_path):
    version = generate(filled_project, account)
    (hit,) = [hit for hit in filled_project.search(fields=["id", "name", "split"]) if hit["split"] == "train"]
    upload(filled_project)
    labels = pictures.coco(tmp_path / "new.coco.json", hit["name"], [JAR])
    filled_project.save_annotation(str(labels), image_id=hit["id"], annotation_overwrite=True)

    where = version.download("coco", location=str(tmp_path / "one")).location
    document = json.loads((Path(where) / "train" / "_annotations.coco.json").read_text())
    assert len(document["images"]) == 1
    assert [category["name"] for category in document["categories"]][1:] == ["bottle"]
    assert get_version(filled_project, account, 1)["images"] == 3

    later = generate(filled_project, account)
    where = later.download("coco", location=str(tmp_path / "two")).location
    document = json.loads((Path(where) / "train" / "_annotations.coco.json").read_text())
    assert len(document["images"]) == 2
    assert [category["name"] for category in document["categories"]][1:] == ["bottle", "jar"]


def test_download_coco(project, account, upload, tmp_path):
    upload(project, name="belt.png", boxes=[BOX, JAR])
    upload(project, name="other.jpg", split="valid")
    dataset = generate(project, account).download("coco", location=str(tmp_path / "data"))
    assert (dataset.name, dataset.version, dataset.model_format) == (project.name, "1", "coco")
    folder = Path(dataset.location)
    assert not (folder / "roboflow.zip").exists()

    document = json.loads((folder / "train" / "_annotations.coco.json").read_text())
    group, *classes = document["categories"]
    assert (group["id"], group["name"], group["supercategory"]) == (0, "things", "none")
    assert [(c["id"], c["name"], c["supercategory"]) for c in classes] == [
        (1, "bottle", "things"),
        (2, "jar", "things"),
    ]
    (image,) = document["images"]
    assert re.fullmatch(EXPORTED_NAME.format(stem="belt", suffix="png"), image["file_name"])
    assert (image["width"], image["height"]) == pictures.SIZE
    picture = Image.open(folder / "train" / image["file_name"])
    assert (picture.format, picture.size) == ("PNG", pictures.SIZE)
    boxes = {(a["category_id"], *(round(float(edge)) for edge in a["bbox"])) for a in document["annotations"]}
    assert boxes == {(1, *BOX[1:]), (2, *JAR[1:])}
    assert {a["image_id"] for a in document["annotations"]} == {image["id"]}
    assert (folder / "valid" / "_annotations.coco.json").exists()


def test_download_yolov5pytorch(project, account, upload, tmp_path):
    upload(project, name="belt.png", boxes=[BOX, JAR])
    upload(project, name="other.jpg", split="valid")
    upload(project, name="empty.jpg", split="test", boxes=[])
    dataset = generate(project, account).download("yolov5", location=str(tmp_path / "data"))
    folder = Path(dataset.location)

    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert (data["nc"], data["names"]) == (2, ["bottle", "jar"])
    assert data["train"] == f"{folder}/train/images", "the SDK rewrites what must begin with ../"
    assert data["val"] == f"{folder}/valid/images"
    (image,) = (folder / "train" / "images").iterdir()
    assert re.fullmatch(EXPORTED_NAME.format(stem="belt", suffix="png"), image.name)
    lines = (folder / "train" / "labels" / f"{image.stem}.txt").read_text().splitlines()
    boxes = sorted([float(word) for word in line.split()] for line in lines)
    width, height = pictures.SIZE
    expected = [
        [n, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height]
        for n, (_, x, y, w, h) in enumerate([BOX, JAR])
    ]
    assert boxes == [pytest.approx(box, abs=1e-3) for box in expected]
    (empty,) = (folder / "test" / "images").iterdir()
    labels = folder / "test" / "labels" / f"{empty.stem}.txt"
    assert not labels.exists() or labels.read_text().strip() == ""


def test_the_raw_export_answers(server, filled_project, account):
    generate(filled_project, account)
    path = f"/{filled_project.id}/1/coco"
    answer = server.request("GET", path, account)
    assert answer.status_code in (200, 202)
    while answer.status_code == 202:
        assert 0 <= answer.json()["progress"] <= 1
        answer = server.request("GET", path, account)
    link = answer.json()["export"]["link"]
    assert link.startswith(server.url)
    download = requests.get(link, timeout=30)  # as the SDK does: no key, and it needs the length
    assert (download.status_code, download.content[:2]) == (200, b"PK")
    assert int(download.headers["Content-Length"]) == len(download.content)


def test_formats_there_are_not(server, filled_project, account):
    version = generate(filled_project, account)
    answer = server.request("GET", f"/{filled_project.id}/1/no-such-format", account)
    assert answer.status_code in (400, 404)
    assert "coco" in answer.text and "yolov5pytorch" in answer.text, "the answer lists the formats there are"
    with pytest.raises(RoboflowError, match="no-such-format"):
        version.export("no-such-format")


def test_preprocessing_and_augmentation_are_not_silently_ignored(server, filled_project, account):
    for settings in (
        {"preprocessing": {"resize": {"width": 32, "height": 32, "format": "Stretch to"}}, "augmentation": {}},
        {"preprocessing": {}, "augmentation": {"flip": {"horizontal": True, "vertical": False}}},
    ):
        answer = server.request("POST", f"/{filled_project.id}/generate", account, json=settings)
        assert answer.status_code == 501, answer.text
        with pytest.raises(RuntimeError):
            filled_project.generate_version(settings)
    assert filled_project.get_version_information() == []


def test_nothing_to_generate_from(server, project, account):
    """images: 0 would make the SDK wait for ever; so either no version begins, or its own route says that it failed."""
    answer = server.request("POST", f"/{project.id}/generate", account, json=NOTHING_DONE)
    if answer.status_code == 200:
        number = answer.json()["version"]
        for _ in range(100):
            answer = server.request("GET", f"/{project.id}/{number}", account)
            if answer.status_code != 200:
                break
    assert 400 <= answer.status_code < 500, answer.text


def test_cli_version_commands(cli, filled_project, account, tmp_path):
    name = slug(filled_project)
    (tmp_path / "settings.json").write_text(json.dumps(NOTHING_DONE))
    created = cli("version", "create", "-p", name, "--settings", str(tmp_path / "settings.json"), "--json").json()
    assert created == {"status": "created", "project": name, "version": 1}
    listed = cli("version", "list", "-p", name, "--json").json()
    assert [entry["id"] for entry in listed] == [f"{filled_project.id}/1"]
    target = tmp_path / "shell"
    done = cli("version", "download", f"{account.workspace}/{name}/1", "-f", "coco", "-l", str(target), "--json")
    assert done.exit == 0, done
    assert (target / "train" / "_annotations.coco.json").exists()
    got = cli("version", "get", f"{name}/1", "--json").json()["version"]
    assert (got["generating"], got["images"]) == (False, 3)
    export = cli("version", "export", "1", "-p", name, "-f", "coco", "--json")
    assert (export.exit, "link" in export.json()["export"]) == (0, True)
    assert cli("version", "get", f"{name}/9", "--json").exit == 3
    assert cli("version", "download", f"{account.workspace}/{name}/9", "--json").exit == 3


def test_the_version_of_a_stranger(server, filled_project, account, stranger):
    generate(filled_project, account)
    with pytest.raises(RoboflowError):
        rfapi.get_version(stranger.api_key, account.workspace, slug(filled_project), "1")
    assert server.request("GET", f"/{filled_project.id}/1/coco", stranger).status_code in (401, 404)
