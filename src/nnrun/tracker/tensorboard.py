from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nnrun.options import FilePath
from nnrun.tracker._package import demand
from nnrun.tracking import Record, Row, Session, Tracker

__all__ = ["tensorboard"]


def tensorboard(folder: FilePath = "tensorboard") -> Tracker:
    """TensorBoard: event files that `tensorboard --logdir FOLDER` shows.

    folder   where they go, a folder for each run below it; seeds in that of their group

    Use: curves of many runs in a browser, with nothing but files.
    Source: the event format of TensorFlow, written by the package tensorboard.
    """

    demand("tensorboard")

    def begin(record: Record, known: str | None, run_folder: Path) -> Session:
        from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-not-found]
        from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-not-found]
        from tensorboard.compat.proto.tensor_pb2 import TensorProto  # type: ignore[import-not-found]
        from tensorboard.plugins.text.metadata import create_summary_metadata  # type: ignore[import-not-found]
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # type: ignore[import-not-found]

        place = Path(known) if known else Path(folder).absolute() / record.group / record.name
        writer = EventFileWriter(str(place))

        def add(values: list[Summary.Value], step: int) -> None:
            writer.add_event(Event(step=step, summary=Summary(value=values)))

        def text(tag: str, content: str) -> None:
            value = Summary.Value(
                tag=f"{tag}/text_summary",
                metadata=create_summary_metadata(display_name=tag, description=""),
                tensor=TensorProto(dtype="DT_STRING", string_val=[content.encode()]),
            )
            add([value], 0)

        def log(rows: Sequence[Row]) -> None:
            for step, metrics in rows:
                add([Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()], step)
            writer.flush()

        def file(source: Path, name: str) -> None:
            if source.suffix == ".png":
                image = Summary.Image(encoded_image_string=source.read_bytes())
                add([Summary.Value(tag=name, image=image)], 0)

        def end(status: str) -> None:
            text("status", status)
            writer.close()

        if known is None:
            rows = [f"| {key} | {json.dumps(value)} |" for key, value in record.settings.items()]
            text("settings", "\n".join(["| key | value |", "| --- | --- |", *rows]))
            text("about", "\n\n".join(f"{key}: {value}" for key, value in record.about.items()))
        return Session(str(place), log, file, end)

    return Tracker(begin)
