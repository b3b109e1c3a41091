from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnrun.tracker._package import demand
from nnrun.tracking import Record, Row, Session, Tracker

__all__ = ["mlflow"]

_STATUS = {"done": "FINISHED", "interrupted": "KILLED"}  # else FAILED
_MOST = 500  # characters of a parameter
_AT_ONCE = 1000  # metrics in one request
_AGAIN = (0.5, 1.0, 2.0, 4.0)  # seconds after which a local store is looked at again


def mlflow(uri: str | None = None, experiment: str = "nnrun") -> Tracker:
    """MLflow: a run on a tracking server, or in a local store.

    uri          of the server, such as http://localhost:5000; null: what MLFLOW_TRACKING_URI says, else ./mlruns.db
    experiment   that the runs belong to; it is made where it is missing

    Use: where a team keeps its runs on an MLflow server.  Seeds are runs with the tag nnrun.group; the metric
    `rmse(height)` of one of several targets is called `rmse/height`, for MLflow allows no brackets.
    Source: MLflow's client API.
    """
    # A server that does not answer is given up on after a few seconds, unless somebody wants otherwise.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")

    demand("mlflow")

    def begin(record: Record, known: str | None, run_folder: Path) -> Session:
        from mlflow.entities import Metric, Param  # type: ignore[import-not-found]

        address = uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlruns.db').absolute()}"
        client, number = _opened(address, experiment)
        if known is None:
            tags = {f"nnrun.{key}": value for key, value in record.about.items()}
            tags |= {"nnrun.group": record.group} if record.group else {}
            run_id = client.create_run(number, tags=tags, run_name=record.name).info.run_id
            params = [Param(_name(key), _text(value)) for key, value in record.settings.items()]
            for i in range(0, len(params), 100):
                client.log_batch(run_id, params=params[i : i + 100])
        else:
            run_id = known
            client.update_run(run_id, status="RUNNING")

        def log(rows: Sequence[Row]) -> None:
            now = int(1000 * time.time())
            values = [
                Metric(_name(name), value, now, step)
                for step, metrics in rows
                for name, value in metrics.items()
            ]
            for i in range(0, len(values), _AT_ONCE):
                client.log_batch(run_id, metrics=values[i : i + _AT_ONCE])

        def file(source: Path, name: str) -> None:
            client.log_artifact(run_id, str(source), str(Path(name).parent) if "/" in name else None)

        def end(status: str) -> None:
            client.set_tag(run_id, "nnrun.status", status)
            client.set_terminated(run_id, _STATUS.get(status, "FAILED"))

        return Session(run_id, log, file, end)

    return Tracker(begin)


def _opened(address: str, experiment: str) -> tuple[Any, str]:
    """A client, and the number of the experiment.

    Both are made where they are missing, which another process may do at this moment: a local store then has some of
    its tables, and is looked at again a little later.
    """
    for seconds in () if address.startswith("http") else _AGAIN:
        try:
            return _client_of(address, experiment)
        except Exception:  # of MLflow, SQLAlchemy or Alembic
            time.sleep(seconds)
    return _client_of(address, experiment)


def _client_of(address: str, experiment: str) -> tuple[Any, str]:
    from mlflow.exceptions import MlflowException  # type: ignore[import-not-found]
    from mlflow.tracking import MlflowClient  # type: ignore[import-not-found]

    client = MlflowClient(address)
    known = client.get_experiment_by_name(experiment)
    if known is None:
        try:
            return client, client.create_experiment(experiment)
        except MlflowException:
            known = client.get_experiment_by_name(experiment)  # that another process has just made
            if known is None:
                raise
    return client, known.experiment_id


def _name(name: str) -> str:
    """The name as MLflow takes it: `rmse(height)` is `rmse/height`, and other marks are `_` and their number.

    It must be a path without a detour: no part of it is empty, `.` or `..`.
    """
    plain = name.replace("(", "/").replace(")", "")
    legal = "".join(c if c.isalnum() or c in "/_.- :" else f"_{ord(c):x}" for c in plain)
    parts = (part.replace(".", "_2e") if part in (".", "..") else part or "_" for part in legal.split("/"))
    return "/".join(parts)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _MOST else text[: _MOST - 1] + "…"
