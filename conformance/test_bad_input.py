"""Bad input: a 4xx that says what is wrong, and no row, blob or temporary file is left behind."""

import json
import os
import socket
import time

import pytest
from harness import pictures
from harness.clients import connect, slug
from roboflow.adapters import rfapi
from roboflow.adapters.rfapi import ImageUploadError

LIMIT = 1_000_000  # bytes of an upload

# Names that are a part of some route. The wire knows more of them; these are the ones a person might choose.
RESERVED = ("trash", "workflows", "groups", "images", "projects", "search", "upload", "api-keys", "models", "autolabel")


@pytest.fixture(scope="module")
def server(new_server):
    server = new_server()
    server.account = server.init()
    server.stranger = server.create_workspace("Other People", "eve@example.com")
    return server.start("--upload-max-bytes", str(LIMIT))


@pytest.fixture(scope="module")
def target(server, account, tmp_path_factory):
    """A project that the bad requests are aimed at, with one image: (slug, image id)."""
    folder = tmp_path_factory.mktemp("target")
    project = connect(server, account, folder).create_project("Target", "object-detection", "MIT", "things")
    path = pictures.draw(folder / "target.jpg")
    return slug(project), project.single_upload(image_path=str(path))["image"]["id"]


@pytest.fixture
def nothing_left(server, account, stranger, target):
    """Around a test: what there is after it is what there was before, in rows, in files and for fsck."""
    rows = [server.everything(account), server.everything(stranger)]
    files = server.files()
    yield
    deadline = time.monotonic() + 5  # a connection that was cut is noticed a moment later
    while server.files() != files and time.monotonic() < deadline:
        time.sleep(0.1)
    assert server.files() == files
    assert [server.everything(account), server.everything(stranger)] == rows
    server.fsck()


def refused(answer, *statuses):
    """A refusal with a sentence for a person."""
    assert answer.status_code in (statuses or range(400, 500)), f"{answer.status_code} {answer.text[:500]}"
    error = answer.json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert isinstance(message, str) and len(message) > 5
    for word in ("panic", "goroutine", "SQL", "sqlite", "pgx", "json: cannot", ".go:"):
        assert word not in message, message
    return message


# -- images ------------------------------------------------------------------


def not_an_image(path):
    path.write_bytes(b"this is a text" * 50)


def truncated_jpeg(path):
    pictures.draw(path.with_suffix(".whole.jpg"), size=(300, 300))
    path.write_bytes(path.with_suffix(".whole.jpg").read_bytes()[:1500])


def truncated_png(path):
    pictures.draw(path.with_suffix(".whole.png"), size=(300, 300))
    content = path.with_suffix(".whole.png").read_bytes()
    path.write_bytes(content[: len(content) // 2])


def html_called_jpg(path):
    path.write_bytes(b"<!doctype html><script>alert(1)</script>")


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize(
    "make,name",
    [
        (not_an_image, "text.jpg"),
        (truncated_jpeg, "cut.jpg"),
        (truncated_png, "cut.png"),
        (html_called_jpg, "page.jpg"),
        (empty, "empty.jpg"),
        (pictures.bomb, "bomb.png"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_image_that_is_none(account, target, nothing_left, tmp_path, make, name):
    make(tmp_path / name)
    begun = time.monotonic()
    with pytest.raises(ImageUploadError) as refusal:
        rfapi.upload_image(account.api_key, target[0], str(tmp_path / name))
    assert 400 <= refusal.value.status_code < 500
    assert isinstance(refusal.value.message, str)
    assert time.monotonic() - begun < 10


def test_an_image_that_is_too_large(account, target, nothing_left, tmp_path):
    path = tmp_path / "large.jpg"
    pictures.draw(path)
    path.write_bytes(path.read_bytes() + os.urandom(LIMIT + 1000))
    with pytest.raises(ImageUploadError) as refusal:
        rfapi.upload_image(account.api_key, target[0], str(path))
    assert refusal.value.status_code in (413, None), "None: the connection was cut while the SDK was still sending"


def test_a_length_that_is_too_large_is_refused_before_the_body(server, account, target, nothing_left):
    path = f"/dataset/{target[0]}/upload?api_key={account.api_key}&batch=b"
    headers = {
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(10**12),
        "Expect": "100-continue",
    }
    status, body = server.raw("POST", path, headers=headers)
    assert status == 413, body


def endless(server, path, first, more):
    """Sends chunks until the server has had enough. Returns how many bytes it took, and how its answer begins."""
    host, port = server.url.removeprefix("http://").split(":")
    sent = 0
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\nContent-Type: {first}\r\n\r\n"
        try:
            connection.sendall(head.encode())
            while sent < 64 * LIMIT:
                connection.sendall(b"%x\r\n%s\r\n" % (len(more), more))
                sent += len(more)
            return sent, b""
        except TimeoutError:
            raise AssertionError(f"after {sent} bytes the server neither reads on nor closes the connection") from None
        except OSError:
            pass  # it closed the connection
        try:
            return sent, connection.recv(100)
        except OSError:
            return sent, b""


@pytest.mark.parametrize(
    "path,content_type",
    [
        ("/dataset/{target}/upload?api_key={key}&batch=b", "multipart/form-data; boundary=x"),
        ("/dataset/{target}/annotate/{image}?api_key={key}&name=a.txt", "application/json"),
        ("/{ws}/projects?api_key={key}", "application/json"),
        ("/{ws}/trash/restore?api_key={key}", "application/json"),
        ("/{ws}/{target}/generate?api_key={key}", "application/json"),
    ],
)
def test_a_body_that_never_ends(server, account, target, nothing_left, path, content_type):
    path = path.format(target=target[0], image=target[1], key=account.api_key, ws=account.workspace)
    if "multipart" in content_type:
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + os.urandom(60_000)
    else:
        part = b'{"name": "' + b"a" * 60_000
    taken, answer = endless(server, path, content_type, part)
    assert taken < 64 * LIMIT, "the server took all of it"
    assert not answer or answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400")), answer
    assert server.request("GET", "/healthz", account).status_code == 200


def test_an_upload_that_is_cut_off(server, account, target, nothing_left, tmp_path):
    content = pictures.draw(tmp_path / "cut-off.jpg", size=(400, 400)).read_bytes()
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + content + b"\r\n--x--\r\n"
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        path = f"/dataset/{target[0]}/upload?api_key={account.api_key}&batch=b"
        head = f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body[: len(body) // 2])
        time.sleep(0.2)


@pytest.mark.parametrize(
    "files,query",
    [
        ({}, {}),
        ({"name": (None, "a.jpg"), "split": (None, "train")}, {}),  # no file
        ({"file": ("a.jpg", b"")}, {}),
        ({"name": (None, "a.jpg"), "split": (None, "holiday"), "file": "picture"}, {}),
        ({"name": (None, "a.jpg"), "metadata": (None, "{not json"), "file": "picture"}, {}),
        ({"name": (None, "a.jpg"), "metadata": (None, "[1]"), "file": "picture"}, {}),
        ({"name": (None, "x" * 10_000), "file": "picture"}, {}),
        ({"name": (None, "a.jpg"), "file": "picture"}, {"tag": "x" * 10_000}),
        ({"name": (None, "a.jpg"), "file": "picture"}, {"batch": "x" * 10_000}),
    ],
)
def test_a_form_that_is_wrong(server, account, target, nothing_left, tmp_path, files, query):
    picture = ("a.jpg", pictures.draw(tmp_path / "a.jpg").read_bytes())
    files = {name: picture if part == "picture" else part for name, part in files.items()}
    path = f"/dataset/{target[0]}/upload"
    answer = server.request("POST", path, account, files=files or None, params={"batch": "b"} | query)
    refused(answer)
    assert isinstance(answer.json()["error"], dict), "a bare string crashes the SDK's upload"


# -- JSON --------------------------------------------------------------------

GOOD_PROJECT = {"name": "Fine", "type": "object-detection", "license": "MIT", "annotation": "things"}


@pytest.mark.parametrize(
    "method,path,body",
    [
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "name": 5}),
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "name": ["a"]}),
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "name": None}),
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "name": ""}),
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "name": "x" * 10_000}),
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "type": {"a": 1}}),
        ("POST", "/{ws}/projects", {**GOOD_PROJECT, "annotation": "x" * 10_000}),
        ("POST", "/{ws}/projects", []),
        ("POST", "/{ws}/projects", "text"),
        ("POST", "/{ws}/projects", None),
        ("POST", "/{ws}/{p}/generate", {"preprocessing": [], "augmentation": {}}),
        ("POST", "/{ws}/{p}/generate", {"preprocessing": {}, "augmentation": "none"}),
        ("POST", "/{ws}/{p}/generate", [1]),
        ("POST", "/{ws}/{p}/search", {"fields": "id"}),
        ("POST", "/{ws}/{p}/search", {"fields": ["id"], "limit": "many"}),
        ("POST", "/{ws}/{p}/search", {"fields": ["id"], "limit": -1}),
        ("POST", "/{ws}/{p}/search", {"fields": ["id"], "offset": -1}),
        ("POST", "/{ws}/groups", {"name": 5}),
        ("POST", "/{ws}/groups", {"name": ""}),
        ("POST", "/{ws}/groups", {"name": "F", "projects": "all"}),
        ("POST", "/{ws}/groups", {"name": "F", "projects": ["no-such-project"]}),
        ("POST", "/{ws}/groups", {"name": "F", "parent_id": "grp_nobody"}),
        ("POST", "/{ws}/trash/restore", {"type": 1, "id": "d_x"}),
        ("POST", "/{ws}/trash/restore", {"type": "project", "id": ["d_x"]}),
        ("POST", "/{ws}/trash/restore", {"type": "project", "id": {"a": 1}}),
        ("POST", "/{ws}/trash/restore", [{"type": "project", "id": "d_x"}]),
        ("POST", "/{ws}/updateWorkflow", {"id": 1, "name": "n", "url": "u", "config": "{}"}),
        ("POST", "/{ws}/updateWorkflow", {"id": "wf_nobody", "name": "n", "url": "u", "config": "{}"}),
        ("POST", "/{ws}/api-keys", {"name": 5}),
        ("POST", "/{ws}/api-keys", {"name": "k", "scopes": "all"}),
        ("POST", "/{ws}/api-keys", {"name": "k", "scopes": ["no-such:scope"]}),
        ("POST", "/{ws}/api-keys", {"name": "k", "scopes": [5]}),
        ("POST", "/dataset/{p}/annotate/{image}?name=a.coco.json", {"annotationFile": 5}),
        ("POST", "/dataset/{p}/annotate/{image}?name=a.coco.json", {"annotationFile": "{not json"}),
        (
            "POST",
            "/dataset/{p}/annotate/{image}?name=a.coco.json",
            {"annotationFile": json.dumps({"images": 1, "annotations": 2})},
        ),
        (
            "POST",
            "/dataset/{p}/annotate/{image}?name=a.txt",
            {"annotationFile": "0 0.5 0.5 0.1", "labelmap": {"0": "x"}},
        ),
        ("POST", "/dataset/{p}/annotate/{image}?name=a.txt", {"annotationFile": "0 a b c d", "labelmap": {"0": "x"}}),
        (
            "POST",
            "/dataset/{p}/annotate/{image}?name=a.txt",
            {"annotationFile": "0 nan nan inf 1", "labelmap": {"0": "x"}},
        ),
        (
            "POST",
            "/dataset/{p}/annotate/{image}?name=a.txt",
            {"annotationFile": "7 0.5 0.5 0.1 0.1", "labelmap": {"0": "x"}},
        ),
        (
            "POST",
            "/dataset/{p}/annotate/{image}?name=a.txt",
            {"annotationFile": "0 0.5 0.5 0.1 0.1", "labelmap": ["x"]},
        ),
        (
            "POST",
            "/dataset/{p}/annotate/{image}?name=a.txt",
            {"annotationFile": "0 0.5 0.5 0.1 0.1", "labelmap": {"0": "x" * 10_000}},
        ),
        ("POST", "/dataset/{p}/annotate/{image}", {"annotationFile": "0 0.5 0.5 0.1 0.1", "labelmap": {"0": "x"}}),
    ],
)
def test_json_that_is_wrong(server, account, target, nothing_left, method, path, body):
    path = path.format(ws=account.workspace, p=target[0], image=target[1])
    refused(server.request(method, path, account, json=body))


@pytest.mark.parametrize("body", [b"{", b"", b"\x00\xff\xfe", b'{"name": "a"}{"name": "b"}', b'{"a":' * 20_000])
def test_a_body_that_is_no_json(server, account, target, nothing_left, body):
    for path in ("projects", f"{target[0]}/generate", "trash/restore", "groups", "api-keys"):
        headers = {"Content-Type": "application/json"}
        if path == "api-keys" and not body:
            continue  # a key may be made without any wish
        refused(server.request("POST", f"/{account.workspace}/{path}", account, data=body, headers=headers))


# -- names and paths ---------------------------------------------------------

ODD_SEGMENTS = [
    "..", ".", "%2e%2e", "..%2f..", "a%2fb", "%2f", "%5c..%5c", "a%00b", "%ff", "%20", "%0d%0aX:y",
    "A" * 300, "x" * 10_000,
]  # fmt: skip


@pytest.mark.parametrize("segment", ODD_SEGMENTS, ids=lambda segment: segment[:12])
@pytest.mark.parametrize(
    "method,path",
    [
        ("GET", "/{odd}"),
        ("GET", "/{ws}/{odd}"),
        ("GET", "/{ws}/{p}/{odd}"),
        ("GET", "/{ws}/{p}/1/{odd}"),
        ("GET", "/{ws}/{p}/images/{odd}"),
        ("GET", "/{ws}/workflows/{odd}"),
        ("DELETE", "/{ws}/{odd}"),
        ("DELETE", "/{ws}/{p}/{odd}"),
        ("DELETE", "/{ws}/workflows/{odd}"),
        ("DELETE", "/{ws}/groups/{odd}"),
        ("POST", "/dataset/{odd}/upload"),
        ("POST", "/dataset/{p}/annotate/{odd}"),
    ],
)
def test_odd_words_in_the_path(server, account, target, method, path, segment):
    path = path.format(ws=account.workspace, p=target[0], odd=segment)
    body = None if method != "POST" else b"{}"
    status, answer = server.raw(method, f"{path}?api_key={account.api_key}", body, {"Content-Type": "application/json"})
    # A dot that the server folds away may lead to a redirect or to a listing, but never to a deletion.
    allowed = range(200, 500) if method == "GET" and segment in (".", "..", "%2e%2e") else range(400, 500)
    assert status in allowed, (status, answer[:300])


def test_after_all_odd_words_everything_is_there(server, account, target, nothing_left):
    """Runs after them: the project they were aimed at, its image and its workspace are still there."""
    answer = server.request("GET", f"/{account.workspace}/{target[0]}/images/{target[1]}", account)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", [*RESERVED, "12345", "..", "../../etc", "a/b", "%2f"])
def test_a_project_name_that_is_no_slug(server, account, name):
    """It is refused, or gets a slug under which clients can reach it; never the reserved word itself."""
    answer = server.request("POST", f"/{account.workspace}/projects", account, json={**GOOD_PROJECT, "name": name})
    if answer.status_code >= 300:
        refused(answer)
        return
    workspace, given = answer.json()["id"].split("/")
    assert given not in RESERVED
    assert not given.isdigit()
    assert server.request("GET", f"/{workspace}/{given}", account).json()["project"]["name"] == name


@pytest.mark.parametrize("url", ["..", "../x", "a/b", "a%2fb", "x" * 10_000, "versions?", "a b", "UPPER", "trash"])
def test_a_workflow_slug_that_is_none(server, account, nothing_left, url):
    parameters = {"name": "Flow", "url": url, "template": "{}", "config": "{}"}
    refused(server.request("POST", f"/{account.workspace}/createWorkflow", account, params=parameters))


@pytest.mark.parametrize("url", ["..", "a/b", "a%2fb", "x" * 10_000, "trash", "workflows", "123", " ", 5, ["a"]])
def test_a_new_slug_that_is_none(server, account, url):
    """R3's new slug obeys the same rules; the item stays in Trash."""
    project = server.request(
        "POST", f"/{account.workspace}/projects", account, json={**GOOD_PROJECT, "name": "Renamed"}
    ).json()
    internal = server.request("DELETE", f"/{project['id']}", account).json()["projectId"]
    before = server.everything(account)
    body = {"type": "project", "id": internal, "newUrl": url}
    refused(server.request("POST", f"/{account.workspace}/trash/restore", account, json=body), 400, 409)
    assert server.everything(account) == before


def test_methods_that_are_not_there(server, account, target, nothing_left):
    for method, path in [
        ("PUT", f"/{account.workspace}/{target[0]}"),
        ("PATCH", f"/{account.workspace}/trash"),
        ("POST", f"/{account.workspace}"),
    ]:
        answer = server.request(method, path, account)
        assert answer.status_code in (404, 405), (method, path, answer.status_code)


def test_the_server_is_well(server, account):
    assert server.request("GET", "/healthz", account).status_code == 200
    assert server.request("GET", "/readyz", account).status_code == 200
    log = server.log.read_text(errors="replace")
    assert "panic" not in log
    assert "goroutine " not in log
