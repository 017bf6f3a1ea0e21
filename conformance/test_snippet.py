"""What a user does first: a fresh Python, environment variables, `import roboflow`, nothing of ours."""

import json
import os
import subprocess
import sys

from harness.clients import environment, slug

SNIPPET = """
import json
import roboflow

workspace = roboflow.Roboflow().workspace()
project = workspace.project("SLUG")
seen = {"before": [entry["id"] for entry in workspace.project_list]}

project.delete()
try:
    workspace.project("SLUG")
except Exception as error:
    seen["gone"] = type(error).__name__
seen["listed"] = "SLUG" in str(roboflow.Roboflow().workspace().project_list)
seen["trash"] = [item["url"] for item in workspace.trash()["sections"]["projects"]]

project.restore()
seen["after"] = workspace.project("SLUG").id
print(json.dumps(seen))
"""


def test_delete_and_restore_in_a_fresh_python(server, account, filled_project, tmp_path):
    name = slug(filled_project)
    done = subprocess.run(
        [sys.executable, "-c", SNIPPET.replace("SLUG", name)],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **environment(server, account, tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen == {
        "before": [filled_project.id],
        "gone": "RoboflowError",
        "listed": False,
        "trash": [name],
        "after": filled_project.id,
    }
