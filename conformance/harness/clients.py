"""The official clients, pointed at a server: the SDK in this process, the CLI in one of its own."""

import json
import os
import pty
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import roboflow
import roboflow.config
from roboflow.adapters import rfapi

from .waiting import wait_until

NOTHING_DONE = {"preprocessing": {}, "augmentation": {}}


def environment(server, account, folder):
    """All that a user sets: where the server is, the key, and a config file of their own."""
    return {
        "API_URL": server.url,
        "APP_URL": server.url + "/app",
        "ROBOFLOW_API_KEY": account.api_key,
        "RF_WORKSPACE": account.workspace,
        "ROBOFLOW_CONFIG_DIR": str(Path(folder) / "config.json"),
        "TQDM_DISABLE": "1",
    }


def point_at(server, account, folder):
    """Makes the SDK in this process speak with this server.

    The SDK reads its URLs when it is imported; its own refresh_region_urls() makes it read them again, so that one
    test process can speak with one server after another.
    """
    os.environ.update(environment(server, account, folder))
    roboflow.config.refresh_region_urls()
    assert server.url == rfapi.API_URL


def connect(server, account, folder):
    """The SDK's workspace on this server, as a user gets it."""
    point_at(server, account, folder)
    return roboflow.Roboflow(api_key=account.api_key).workspace()


def slug(project):
    return project.id.split("/")[1]


def get_version(project, account, number):
    return rfapi.get_version(account.api_key, account.workspace, slug(project), str(number))["version"]


def generate(project, account):
    """A version of the project as it is now, once it is ready."""
    number = project.generate_version(NOTHING_DONE)
    wait_until(
        lambda: not get_version(project, account, number)["generating"],
        30,
        f"version {number} of {project.id} is generated",
    )
    return project.version(number)


def trashed(workspace, section, **fields):
    """The items of a section of Trash that have these fields, in the order in which the server lists them."""
    items = workspace.trash()["sections"][section]
    return [item for item in items if all(item.get(name) == value for name, value in fields.items())]


def projects_of(account):
    """{slug: Project object on the wire} of the workspace's listing."""
    listing = rfapi.get_workspace(account.api_key, account.workspace)["workspace"]["projects"]
    return {project["id"].split("/")[1]: project for project in listing}


@dataclass
class Result:
    exit: int
    stdout: str
    stderr: str

    def json(self):
        return json.loads(self.stdout)

    def error(self):
        """The error that `--json` prints on stderr, on a line of its own."""
        return json.loads(self.stderr.strip().splitlines()[-1])["error"]


class CLI:
    """The `roboflow` command. cli("project", "list", "--json") → Result."""

    def __init__(self, server, account, folder):
        self.server, self.account, self.folder = server, account, Path(folder)
        self.program = str(Path(sys.executable).with_name("roboflow"))

    def _environment(self):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "COLUMNS": "250",
            "NO_COLOR": "1",
            **environment(self.server, self.account, self.folder),
        }

    def __call__(self, *words, key=None, cwd=None):
        """Runs without a terminal, as a script does."""
        env = self._environment() | ({"ROBOFLOW_API_KEY": key} if key else {})
        done = subprocess.run(
            [self.program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            env=env,
            cwd=cwd or self.folder,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def at_terminal(self, *words, answer):
        """Runs at a terminal and types the answer to its question."""
        terminal, their_end = pty.openpty()
        try:
            running = subprocess.Popen(
                [self.program, *words], stdin=their_end, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                env=self._environment(), cwd=self.folder,
            )  # fmt: skip
            os.close(their_end)
            time.sleep(0.1)
            os.write(terminal, answer.encode() + b"\n")
            stdout, stderr = running.communicate(timeout=60)
        finally:
            os.close(terminal)
        return Result(running.returncode, stdout, stderr)
