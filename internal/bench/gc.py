# Fills a store of mlflow: experiments and runs by its API, the artifacts written where it
# would have put them, then deletes the runs by its API. With "count": how many rows of
# runs there are.
import os, pathlib, sqlite3, sys, urllib.parse

what, store, artifacts, runs, per_run, size = sys.argv[1:4] + [int(a) for a in sys.argv[4:]]
if what == "count":
    print("runs", sqlite3.connect(store.removeprefix("sqlite:///")).execute("SELECT COUNT(*) FROM runs").fetchone()[0])
    sys.exit()

from mlflow.tracking import MlflowClient

client = MlflowClient(store)
experiment = client.create_experiment("bench", artifact_location=pathlib.Path(artifacts).as_uri())
for _ in range(runs):
    run = client.create_run(experiment)
    folder = pathlib.Path(urllib.parse.urlparse(run.info.artifact_uri).path)
    folder.mkdir(parents=True)
    for n in range(per_run):
        (folder / f"{n}.bin").write_bytes(os.urandom(size))
    client.delete_run(run.info.run_id)
