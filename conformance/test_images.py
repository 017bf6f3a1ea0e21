"""One image and its labels: upload, annotate, look at, search."""

import hashlib
import json

import pytest
import requests
from harness import pictures
from harness.clients import projects_of, slug
from PIL import Image
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import AnnotationSaveError, ImageUploadError, RoboflowError

BOX = ("bottle", 10, 8, 40, 30)
JAR = ("jar", 50, 20, 20, 36)


def test_upload_one_image(project, account, tmp_path):
    path = pictures.draw(tmp_path / "belt.jpg")
    (answer,) = project.upload(
        str(path), split="valid", batch_name="Monday", tag_names=["red", "night"], metadata={"camera": "c1", "n": 3}
    )
    image_id = answer["image"]["id"]
    assert answer["image"]["success"] is True

    image = project.image(image_id)
    assert (image["id"], image["name"], image["split"]) == (image_id, "belt.jpg", "valid")
    assert sorted(image["tags"]) == ["night", "red"]
    assert image["labels"] == []
    listed = projects_of(account)[slug(project)]
    assert (listed["images"], listed["unannotated"], listed["splits"]) == (1, 1, {"train": 0, "valid": 1, "test": 0})


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "tiff"])
def test_the_bytes_come_back_as_they_went_in(project, tmp_path, suffix):
    path = pictures.draw(tmp_path / f"picture.{suffix}")
    image_id = project.single_upload(image_path=str(path))["image"]["id"]
    urls = project.image(image_id)["urls"]
    original = requests.get(urls["original"], timeout=30)  # signed: no key
    assert original.status_code == 200
    assert original.content == path.read_bytes()


def test_a_thumbnail_is_a_picture(project, upload, tmp_path):
    image_id = upload(project)
    thumb = requests.get(project.image(image_id)["urls"]["thumb"], timeout=30)
    assert thumb.status_code == 200
    (tmp_path / "thumb").write_bytes(thumb.content)
    width, height = Image.open(tmp_path / "thumb").size
    assert width / height == pytest.approx(pictures.SIZE[0] / pictures.SIZE[1], rel=0.05)


def test_coco_annotation(project, account, tmp_path):
    path = pictures.draw(tmp_path / "belt.jpg")
    labels = pictures.coco(tmp_path / "annotation.coco.json", "belt.jpg", [BOX, JAR])
    answer = project.single_upload(image_path=str(path), annotation_path=str(labels))
    assert answer["annotation"]["success"] is True

    image = project.image(answer["image"]["id"])
    assert sorted(image["labels"]) == ["bottle", "jar"]
    annotation = image["annotation"]
    assert (int(annotation["width"]), int(annotation["height"])) == pictures.SIZE
    boxes = {box["label"]: (float(box["width"]), float(box["height"])) for box in annotation["boxes"]}
    assert boxes == {"bottle": (40, 30), "jar": (20, 36)}

    listed = projects_of(account)[slug(project)]
    assert listed["classes"] == {"bottle": 1, "jar": 1}
    assert sorted(listed["colors"]) == ["bottle", "jar"]
    assert all(colour.startswith("#") and len(colour) == 7 for colour in listed["colors"].values())
    assert listed["unannotated"] == 0


def test_yolo_annotation_with_a_labelmap(project, tmp_path):
    path = pictures.draw(tmp_path / "belt.jpg")
    labels = pictures.yolo(tmp_path / "belt.txt", [JAR], classes=["bottle", "jar"])
    answer = project.single_upload(
        image_path=str(path), annotation_path=str(labels), annotation_labelmap={0: "bottle", 1: "jar"}
    )
    assert answer["annotation"]["success"] is True
    (box,) = project.image(answer["image"]["id"])["annotation"]["boxes"]
    assert box["label"] == "jar"
    assert (float(box["width"]), float(box["height"])) == (pytest.approx(20, abs=0.5), pytest.approx(36, abs=0.5))


def test_yolo_without_a_labelmap_is_refused(project, upload, tmp_path):
    image_id = upload(project, boxes=None)
    labels = pictures.yolo(tmp_path / "belt.txt", [BOX], classes=["bottle"])
    with pytest.raises(AnnotationSaveError) as refusal:
        project.save_annotation(str(labels), image_id=image_id)
    assert refusal.value.status_code == 400
    assert project.image(image_id)["labels"] == []


def test_a_second_annotation_needs_overwrite(project, upload, tmp_path):
    image_id = upload(project, name="belt.jpg", boxes=[BOX])
    labels = pictures.coco(tmp_path / "other.coco.json", "belt.jpg", [JAR])

    answer, _, _ = project.save_annotation(str(labels), image_id=image_id, num_retry_uploads=2)
    assert answer == {"warn": "already annotated"}
    assert project.image(image_id)["labels"] == ["bottle"]

    answer, _, _ = project.save_annotation(str(labels), image_id=image_id, annotation_overwrite=True)
    assert answer["success"] is True
    assert project.image(image_id)["labels"] == ["jar"]


def test_an_image_without_objects_is_annotated_all_the_same(project, upload, account):
    image_id = upload(project, boxes=[])
    image = project.image(image_id)
    assert (image["labels"], image["annotation"]["boxes"]) == ([], [])
    assert projects_of(account)[slug(project)]["unannotated"] == 0


def test_the_same_bytes_again_are_a_duplicate(project, account, tmp_path):
    path = pictures.draw(tmp_path / "belt.jpg")
    first = project.single_upload(image_path=str(path))["image"]
    again = project.single_upload(image_path=str(path), tag_names=["later"])["image"]
    assert again.get("duplicate") is True
    assert again["id"] == first["id"]
    assert projects_of(account)[slug(project)]["images"] == 1
    assert project.image(first["id"])["tags"] == ["later"]


def test_the_same_bytes_in_two_projects_are_two_images(server, new_project, tmp_path):
    one, other = new_project(), new_project()
    path = pictures.draw(tmp_path / "belt.jpg")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    first = one.single_upload(image_path=str(path))["image"]
    second = other.single_upload(image_path=str(path))["image"]
    assert second["success"] is True
    assert first["id"] != second["id"]
    contents = [hashlib.sha256((server.home / name).read_bytes()).hexdigest() for name in server.blobs()]
    assert contents.count(digest) == 1, "equal bytes are stored once"


def test_image_of_nothing(project):
    with pytest.raises(RuntimeError, match="img_nobody"):
        project.image("img_nobody")
    with pytest.raises(AnnotationSaveError) as refusal:
        project.save_annotation({"name": "a.txt", "rawText": "0 0.5 0.5 0.1 0.1"}, {0: "x"}, image_id="img_nobody")
    assert refusal.value.status_code == 404


def test_upload_into_an_unknown_project(account, tmp_path):
    path = pictures.draw(tmp_path / "belt.jpg")
    with pytest.raises(ImageUploadError, match="no-such-project") as refusal:
        rfapi.upload_image(account.api_key, "no-such-project", str(path))
    assert refusal.value.status_code == 404


def test_search_by_name(project, upload):
    needle = upload(project, name="needle-in-hay.jpg")
    upload(project, name="straw.jpg")
    found = project.search(prompt="needle", fields=["id", "name", "labels", "split"])
    assert [(hit["id"], hit["name"], hit["labels"], hit["split"]) for hit in found] == [
        (needle, "needle-in-hay.jpg", ["bottle"], "train")
    ]
    assert project.search(prompt="nothing of that name") == []


def test_search_pages(project, upload):
    images = {upload(project) for _ in range(5)}
    pages = list(project.search_all(limit=2))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {hit["id"] for page in pages for hit in page} == images
    assert all(hit["created"] for page in pages for hit in page)
    first = project.search(limit=2, offset=3)
    assert [hit["id"] for hit in first] == [hit["id"] for hit in (pages[1] + pages[2])[1:]]


def test_search_tells_errors(new_project):
    project = new_project()
    project.delete()
    with pytest.raises(RoboflowError) as refusal:
        project.search()
    assert refusal.value.status_code == 404


def test_only_images_there_are(project, upload):
    upload(project)
    assert project.search(media_types=["video"]) == []
    assert len(project.search(media_types=["image"])) == 1


def test_cli_image_commands(cli, project, tmp_path):
    path = pictures.draw(tmp_path / "shell.png")
    labels = pictures.coco(tmp_path / "shell.coco.json", "shell.png", [BOX])
    done = cli(
        "image", "upload", str(path), "-p", slug(project), "-a", str(labels), "-s", "test", "-t", "a,b", "--json"
    )
    assert done.exit == 0, done
    (hit,) = project.search(fields=["id", "name", "split", "labels", "tags"])
    assert (hit["name"], hit["split"], hit["labels"], sorted(hit["tags"])) == (
        "shell.png",
        "test",
        ["bottle"],
        ["a", "b"],
    )
    got = cli("image", "get", hit["id"], "-p", slug(project), "--json").json()
    assert got["image"]["id"] == hit["id"]
    assert cli("image", "get", "img_nobody", "-p", slug(project), "--json").exit == 3
    bare = pictures.draw(tmp_path / "bare.png")
    assert cli("image", "upload", str(bare), "-p", slug(project), "--json").exit == 0
    (hit,) = project.search(prompt="bare")
    done = cli("image", "annotate", hit["id"], "-p", slug(project), "--annotation-file", str(labels), "--json")
    assert done.exit == 0, done
    assert project.image(hit["id"])["labels"] == ["bottle"]


def test_upload_a_dataset_with_ten_threads(workspace, tmp_path):
    for split, count in (("train", 12), ("valid", 3)):
        images, annotations = [], []
        for n in range(count):
            pictures.draw(tmp_path / "dataset" / split / f"{split}-{n}.jpg")
            images.append({"id": n, "file_name": f"{split}-{n}.jpg", "width": 96, "height": 64})
            annotations.append(
                {"id": n, "image_id": n, "category_id": 1, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0}
            )
        document = {
            "info": {}, "licenses": [], "categories": [{"id": 1, "name": "bottle", "supercategory": "none"}],
            "images": images, "annotations": annotations,
        }  # fmt: skip
        (tmp_path / "dataset" / split / "_annotations.coco.json").write_text(json.dumps(document))

    workspace.upload_dataset(str(tmp_path / "dataset"), "fresh-dataset")
    project = workspace.project("fresh-dataset")
    assert project.splits == {"train": 12, "valid": 3, "test": 0}
    assert (project.images, project.unannotated, project.classes) == (15, 0, {"bottle": 15})

    workspace.upload_dataset(str(tmp_path / "dataset"), "fresh-dataset")  # again: nothing doubles
    assert workspace.project("fresh-dataset").images == 15
