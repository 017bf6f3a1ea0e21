"""Fixtures: a server for each module, the official SDK and CLI connected to it, and things to work on."""

import itertools
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import pytest

# Before the SDK is imported: it must not find the settings, the key or the config file of whoever runs this.
_home_of_the_user = os.environ.get("HOME", "/")
_home = tempfile.mkdtemp(prefix="cullet-conformance-")
for _name in [name for name in os.environ if name.startswith(("ROBOFLOW_", "RF_")) or name.endswith("_URL")]:
    del os.environ[_name]
os.environ.update(
    HOME=_home,
    ROBOFLOW_CONFIG_DIR=os.path.join(_home, "config.json"),
    API_URL="http://127.0.0.1:9",  # nobody is there: a test that forgets its fixture fails at once
    APP_URL="http://127.0.0.1:9/app",
    TQDM_DISABLE="1",
)

from harness import pictures  # noqa: E402
from harness.clients import CLI, connect, point_at  # noqa: E402
from harness.server import Server  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser):
    group = parser.getgroup("cullet")
    group.addoption(
        "--cullet-binary",
        default=os.environ.get("CULLET_BIN"),
        help="the cullet to test (or CULLET_BIN); by default it is built from this repository",
    )
    group.addoption(
        "--database-url",
        default=None,
        help="a PostgreSQL in which databases may be created; by default each server has its SQLite file",
    )


def pytest_report_header(config):
    database = "PostgreSQL" if config.getoption("--database-url") else "SQLite"
    return f"roboflow {version('roboflow')}, Python {sys.version.split()[0]}, {database}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """What the server had to say, beneath a test that failed."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and server is not None:
        report.sections.append(("server log", server.log_tail()))
    return report


@pytest.fixture(scope="session")
def binary(request, tmp_path_factory):
    given = request.config.getoption("--cullet-binary")
    if given:
        path = Path(given).resolve()
        assert path.is_file(), f"--cullet-binary: there is no {path}"
        return path
    path = tmp_path_factory.mktemp("bin") / "cullet"
    environment = os.environ | {"CGO_ENABLED": "0", "HOME": _home_of_the_user}
    subprocess.run(["go", "build", "-o", str(path), "./cmd/cullet"], cwd=ROOT, check=True, env=environment)
    return path


@pytest.fixture(scope="module")
def new_server(request, binary, tmp_path_factory):
    """A function that makes servers; they end with the module, soundly."""
    made = []

    def new():
        server = Server(binary, tmp_path_factory.mktemp("server"), request.config.getoption("--database-url"))
        made.append(server)
        return server

    yield new
    for server in made:
        server.close()


@pytest.fixture(scope="module")
def server(new_server):
    """The module's server, with two workspaces that do not know of each other. Modules may override it."""
    server = new_server()
    server.account = server.init()
    server.stranger = server.create_workspace("Other People", "eve@example.com")
    return server.start()


@pytest.fixture(scope="module")
def account(server):
    """The workspace the tests work in: account.workspace, account.api_key."""
    return server.account


@pytest.fixture(scope="module")
def stranger(server):
    """Another workspace on the same server."""
    return server.stranger


@pytest.fixture(autouse=True)
def _sdk_speaks_with_this_server(server, account, tmp_path):
    if server.process is None:  # a test before this one killed it, and failed
        server.start()
    point_at(server, account, tmp_path)


@pytest.fixture
def workspace(server, account, tmp_path):
    """The SDK's Workspace."""
    return connect(server, account, tmp_path)


@pytest.fixture
def cli(server, account, tmp_path):
    """The CLI: cli("trash", "list", "--json")."""
    return CLI(server, account, tmp_path)


_numbers = itertools.count(1)


@pytest.fixture
def new_project(workspace):
    """A function that creates a project through the SDK, with a name that no other has."""

    def new(name=None, project_type="object-detection"):
        name = name or f"Bottles {next(_numbers)}"
        return workspace.create_project(name, project_type, "MIT", "things")

    return new


@pytest.fixture
def project(new_project):
    return new_project()


@pytest.fixture
def upload(tmp_path):
    """A function that draws a picture, uploads it with a box on it, and returns its id. boxes=None: unlabelled."""

    def upload(project, name=None, split="train", boxes=(("bottle", 10, 8, 40, 30),)):
        name = name or f"picture-{next(_numbers)}.jpg"
        path = pictures.draw(tmp_path / name)
        labels = pictures.coco(tmp_path / "annotation.coco.json", name, boxes) if boxes is not None else None
        answer = project.single_upload(image_path=str(path), annotation_path=labels and str(labels), split=split)
        assert answer["image"]["success"] is True
        return answer["image"]["id"]

    return upload


@pytest.fixture
def filled_project(project, upload):
    """A project with one labelled image in each split."""
    for split in ("train", "valid", "test"):
        upload(project, split=split)
    return project
