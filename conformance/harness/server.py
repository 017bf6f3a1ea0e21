"""A Cullet server of its own: data folder, database, process.

Only what the run contract promises is used: `init`, `workspace create`, `serve`, `fsck`, `cullet.toml`, and the routes.
"""

import http.client
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests

from . import processes
from .waiting import wait_until

PASSWORD = "correct horse battery staple"

# Behaviours of trainer.py; each is the trainer of the model type `test-<behaviour>`.
BEHAVIOURS = ("quick", "slow", "failing", "leaver", "stubborn")

# One credit a second: what a training cost in micro-credits is how long it was billed in microseconds.
CREDITS_PER_HOUR = 3600.0
MICRO_CREDITS_PER_SECOND = 1_000_000

# The database and what lies beside it while it is open. All else in a data folder counts as a file of the data.
DATABASE_FILE = re.compile(r"\.(db|sqlite|sqlite3)(-wal|-shm|-journal)?$|(^|/)[^/]*\.(lock|pid)$")


@dataclass(frozen=True)
class Account:
    """A workspace and the API key that `init` or `workspace create` made for it."""

    workspace: str
    api_key: str
    email: str


class Server:
    """One `cullet serve` and its data. Start, stop, kill and start it again; the data stays."""

    def __init__(self, binary, folder, admin_database_url=None):
        self.binary = str(binary)
        self.home = Path(folder)
        self.data = self.home / "data"
        self.temp = self.home / "tmp"  # TMPDIR of the server: uploads may not leave anything in it
        self.temp.mkdir(parents=True)
        self.log = self.home / "server.log"
        self.marker = f"cullet-conformance-{secrets.token_hex(8)}"  # in the command line of every process of a trainer
        self._admin_database_url = admin_database_url
        self.database_url = self._create_database() if admin_database_url else None
        self.process = None
        self.url = None
        self.flags = ()

    # -- its data ------------------------------------------------------------

    def _create_database(self):
        name = f"cullet_conformance_{secrets.token_hex(8)}"
        with psycopg.connect(self._admin_database_url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {name}")
        return urlunsplit(urlsplit(self._admin_database_url)._replace(path=f"/{name}"))

    def _drop_database(self):
        name = urlsplit(self.database_url).path.lstrip("/")
        with psycopg.connect(self._admin_database_url, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def command(self, *words, flags=(), stdin=""):
        """Runs one subcommand on this data, e.g. command("fsck", flags=["--json"])."""
        arguments = [self.binary, *words, "--data", str(self.data)]
        if self.database_url:
            arguments += ["--database-url", self.database_url]
        return subprocess.run(
            [*arguments, *flags], input=stdin, capture_output=True, text=True, timeout=60, env=self._environment()
        )

    def _environment(self):
        kept = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
        return {name: os.environ[name] for name in kept if name in os.environ} | {"TMPDIR": str(self.temp)}

    def create_workspace(self, name, email, command=("workspace", "create")):
        done = self.command(
            *command, flags=["--workspace", name, "--email", email, "--password-stdin", "--json"], stdin=PASSWORD + "\n"
        )
        assert done.returncode == 0, f"cullet {' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        answer = json.loads(done.stdout)
        return Account(answer["workspace"], answer["api_key"], answer["email"])

    def init(self, name="Glass Works", email="ada@example.com"):
        account = self.create_workspace(name, email, command=("init",))
        self._write_config()
        return account

    def _write_config(self):
        script = str(Path(__file__).with_name("trainer.py"))
        tables = []
        for behaviour in BEHAVIOURS:
            command = [sys.executable, "-S", script, behaviour, self.marker]
            tables.append(
                "[[trainer]]\n"
                f"name = {json.dumps(behaviour)}\n"
                f"model_types = {json.dumps(['test-' + behaviour])}\n"
                f"command = {json.dumps(command)}\n"
                f"credits_per_hour = {CREDITS_PER_HOUR}\n"
            )
        with open(self.data / "cullet.toml", "a", encoding="utf-8") as config:
            config.write("\n" + "\n".join(tables))

    def fsck(self):
        """What `cullet fsck` reports. It must be clean, at once or as soon as a purge that is under way has ended."""
        deadline = time.monotonic() + (5 if self.process else 0)
        while True:
            done = self.command("fsck", flags=["--json"])
            if done.returncode == 0 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        assert done.returncode == 0, f"fsck: exit {done.returncode}\n{done.stdout}{done.stderr}"
        report = json.loads(done.stdout)
        for count in ("dangling_rows", "missing_blobs", "orphan_blobs", "audit_breaks"):
            assert report[count] == 0, f"fsck: {count} = {report[count]}\n{done.stdout}"
        return report

    def files(self):
        """Every file of the data folder and of the server's temporary folder, but for the database's own."""
        found = set()
        for root in (self.data, self.temp):
            for path in root.rglob("*"):
                name = path.relative_to(self.home).as_posix()
                if path.is_file() and not DATABASE_FILE.search(name):
                    found.add(name)
        return found

    def blobs(self):
        return {name for name in self.files() if name.startswith("data/blobs/")}

    # -- its process ---------------------------------------------------------

    def start(self, *flags):
        """Serves, and returns once it says that it listens. Without flags: with those of the last start."""
        self.flags = flags or self.flags
        arguments = [self.binary, "serve", "--data", str(self.data), "--addr", "127.0.0.1:0"]
        if self.database_url:
            arguments += ["--database-url", self.database_url]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*arguments, *self.flags],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment(),
            )
        listening = []
        ready = threading.Event()

        def read_stdout(stdout):
            for line in stdout:
                if match := re.match(r"listening on (http://\S+)", line):
                    listening.append(match[1].rstrip("/"))
                    ready.set()
            ready.set()

        threading.Thread(target=read_stdout, args=[self.process.stdout], daemon=True).start()
        if not ready.wait(30) or not listening:
            self.process.kill()
            raise AssertionError(f"cullet serve did not say 'listening on http://…'\n{self.log_tail()}")
        self.url = listening[0]
        return self

    def stop(self):
        """SIGTERM: the server drains and exits 0."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self.process = None
        assert code == 0, f"SIGTERM: exit {code}\n{self.log_tail()}"

    def kill(self):
        """SIGKILL: as if the machine had taken it away. The server alone; what it started is left to itself."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=10)
        self.process = None

    def close(self):
        """Stops, checks that the data is sound, and removes the database. Nothing of a trainer may be left."""
        try:
            self.stop()
            if self.data.exists():
                self.fsck()
                left = processes.of(self.marker)
                assert not left, f"processes of trainers outlived the server: {left}"
        finally:
            if self.process:
                self.kill()
            processes.kill_all(self.marker)
            if self.database_url:
                self._drop_database()

    def log_tail(self, lines=40):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    # -- its routes, without the SDK -----------------------------------------

    def request(self, method, path, account, key=None, **kwargs):
        """One request as the SDK would make it: the key in the query."""
        parameters = {"api_key": key or account.api_key} | kwargs.pop("params", {})
        return requests.request(method, self.url + path, params=parameters, timeout=30, allow_redirects=False, **kwargs)

    def raw(self, method, path, body=None, headers=None):
        """One request with the path as it is: nothing normalized, nothing encoded. Returns (status, body)."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def everything(self, account):
        """All that a workspace's listings show: two answers are equal when no row was added, removed or changed."""

        def get(path):
            answer = self.request("GET", f"/{account.workspace}{path}", account)
            assert answer.status_code == 200, f"GET {path}: {answer.status_code} {answer.text}"
            return answer.json()

        listing = {path: get(path) for path in ("", "/groups", "/workflows", "/trash", "/api-keys")}
        listing["ledger"] = self.ledger(account)
        for project in listing[""]["workspace"]["projects"]:
            slug = project["id"].split("/")[1]
            listing[slug] = get(f"/{slug}")
            found = self.request(
                "POST",
                f"/{account.workspace}/{slug}/search",
                account,
                json={"fields": ["id", "name", "labels"], "limit": 100},
            )
            listing[f"{slug} images"] = sorted(found.json()["results"], key=lambda image: image["id"])
        # When a key was last used is no row of its own.
        for key in listing["/api-keys"]["apiKeys"]:
            for name in [name for name in key if "used" in name.lower()]:
                del key[name]
        return listing

    # -- our own route for the credits ---------------------------------------

    def ledger(self, account):
        """{"entries": […], "microCredits": total}: what trainings cost, interval by interval."""
        answer = self.request("GET", f"/-/v1/{account.workspace}/ledger", account)
        assert answer.status_code == 200, f"ledger: {answer.status_code} {answer.text}"
        return answer.json()

    def bill(self, account, training_id):
        """The intervals billed to one training, oldest first."""
        entries = [entry for entry in self.ledger(account)["entries"] if entry["trainingId"] == training_id]
        return sorted((Interval(entry) for entry in entries), key=lambda interval: interval.opened)


class Interval:
    """One interval of the credit ledger. `closed` is None while it is open."""

    def __init__(self, entry):
        self.opened = instant(entry["openedAt"])
        self.renewed = instant(entry["renewedAt"])
        self.closed = instant(entry["closedAt"])
        self.micro_credits = entry["microCredits"]
        self.seconds = (self.closed or self.renewed) - self.opened

    def __repr__(self):
        return f"[{self.opened} … {self.closed or 'open, renewed ' + str(self.renewed)}: {self.micro_credits}]"


def instant(text):
    """A time on the wire as seconds since the epoch."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def wait_for_bill(server, account, training_id, seconds):
    """Waits until so many seconds of the training are on its bill."""
    return wait_until(
        lambda: (bill := server.bill(account, training_id)) and sum(i.seconds for i in bill) >= seconds and bill,
        20,
        f"{seconds} s of training {training_id} are billed",
        every=0.2,
    )
