"""Starting trainings of trainer.py and watching them."""

from roboflow.adapters import rfapi

from . import processes
from .waiting import wait_until

FAMILY = {"stubborn", "child", "grandchild", "daemon"}


def begin(version, behaviour):
    """Starts a training through the SDK; behaviour is one of trainer.py's."""
    training = version.create_training(model_type=f"test-{behaviour}")
    assert training.training_id
    assert training.status == "queued"
    return training


def begin_stubborn(server, version):
    """Starts the one that does not want to die, and waits until its whole family is there."""
    training = begin(version, "stubborn")
    wait_until(lambda: processes.roles(server.marker) >= FAMILY, 20, "the trainer and its three descendants run")
    wait_until(lambda: training.refresh().status == "running", 5, "the training says that it runs")
    return training


def on_the_wire(account, training):
    """The training as `GET …/v2/trainings/get` shows it."""
    return rfapi.get_training(
        account.api_key, account.workspace, training.project, training.version, training_id=training.training_id
    )


def ended(training, seconds=30):
    """Waits as the SDK's documentation says: until the status is finished or failed."""
    wait_until(lambda: training.refresh().status in ("finished", "failed"), seconds, "the training ends", every=0.1)
    return training


def all_gone(server, seconds):
    """Waits until no process of any trainer of this server is left."""
    wait_until(lambda: not processes.of(server.marker), seconds, "every process of the trainer is gone")


def check_cancelled(account, training):
    """What a cancelled training looks like: `failed`, so that the SDK's loops end, and says why."""
    shown = on_the_wire(account, training)
    assert (shown["status"], shown["cancelled"]) == ("failed", True), shown
    assert shown["statusDetail"], shown
