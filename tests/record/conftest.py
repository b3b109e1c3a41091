"""A recorder of every change of the disk, and a machine on which what was recorded can crash."""

from __future__ import annotations

import itertools
import os
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nnrun.storage import disk


class Killed(BaseException):
    """The process ends here; the machine continues."""


class Op:
    """One change of the disk, or a mark: a promise that holds from here on."""

    def __init__(self, name, *args, site=()):
        self.name, self.args, self.site = name, args, site


class Recorder(disk.System):
    """A `disk.system` that does the calls, without real fsync, and remembers them."""

    def __init__(self):
        self.ops, self.files, self.opened, self.kill = [], {}, 0, None

    def note(self, name, *args):
        frame, site = sys._getframe(2), []
        while frame:
            if (
                Path(frame.f_code.co_filename).parent.name in ("record", "storage")
                and "test" not in frame.f_code.co_filename
            ):
                site.append(f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}:{frame.f_lineno}")
            frame = frame.f_back
        # where in storage: the same helper has many callers
        storage = ("disk.", "fsio.", "append_file.", "lock.")
        inner = itertools.takewhile(lambda frame: frame.startswith(storage), site)
        self.ops.append(Op(name, *args, site=tuple(inner)))
        if self.kill and self.kill(self.ops[-1]):
            self.ops.pop()
            self.kill = None
            raise Killed

    def promise(self, name, value):
        self.ops.append(Op("promise", name, value))

    def open(self, path, flags, mode=0o777):
        self.opened += 1
        if flags & os.O_CREAT:
            self.note("create", self.opened, str(path), bool(flags & os.O_TRUNC))
        else:
            self.note("look", self.opened, str(path))
        descriptor = super().open(path, flags, mode)
        self.files[descriptor] = self.opened
        return descriptor

    def write(self, descriptor, data):
        data = bytes(data)[:200]  # less than asked for, so that the caller's loop is needed
        self.note("write", self.files[descriptor], data)
        return super().write(descriptor, data)

    def fsync(self, descriptor):
        self.note("fsync", self.files[descriptor])

    def ftruncate(self, descriptor, size):
        self.note("truncate", self.files[descriptor], size)
        super().ftruncate(descriptor, size)

    def rename(self, old, new):
        self.note("rename", str(old), str(new))
        super().rename(old, new)

    def mkdir(self, path):
        self.note("mkdir", str(path))
        super().mkdir(path)

    def unlink(self, path):
        self.note("unlink", str(path))
        super().unlink(path)

    def rmdir(self, path):
        self.note("unlink", str(path))
        super().rmdir(path)


@dataclass
class File:
    data: bytes = b""
    synced: bytes = b""


@dataclass
class Folder:
    names: dict = field(default_factory=dict)
    synced: dict = field(default_factory=dict)


class Disk:
    """A machine's memory and its disk: what is there now, and what an fsync has secured."""

    def __init__(self, root):
        self.base, self.root, self.open = Path(root), Folder(), {}

    def place(self, path):
        *folders, name = Path(path).relative_to(self.base).parts or (".",)
        node = self.root
        for part in folders:
            node = node.names[part]
        return node, name

    def node(self, path):
        folder, name = self.place(path)
        return self.root if name == "." else folder.names[name]

    def apply(self, op):
        getattr(self, op.name)(*op.args)

    def create(self, opened, path, empty):
        folder, name = self.place(path)
        file = folder.names.setdefault(name, File())
        if empty:
            file.data = b""
        self.open[opened] = file

    def look(self, opened, path):
        self.open[opened] = self.node(path)

    def write(self, opened, data):
        self.open[opened].data += data

    def truncate(self, opened, size):
        self.open[opened].data = self.open[opened].data[:size]

    def fsync(self, opened):
        node = self.open[opened]
        node.synced = node.data if isinstance(node, File) else dict(node.names)

    def rename(self, old, new):
        (old_folder, old_name), (new_folder, new_name) = self.place(old), self.place(new)
        new_folder.names[new_name] = old_folder.names.pop(old_name)

    def mkdir(self, path):
        folder, name = self.place(path)
        folder.names[name] = Folder()

    def unlink(self, path):
        folder, name = self.place(path)
        del folder.names[name]

    def after_crash(self, model, seed):
        """path -> bytes, None for a folder: what the machine finds when it starts again."""
        choose = random.Random(f"{model} {seed}").random if model.startswith("mixed") else None
        found = {}

        def walk(folder, prefix):
            kept = model == "synced" or (choose is not None and choose() < 0.5)
            for name, node in (folder.synced if kept else folder.names).items():
                if isinstance(node, Folder):
                    found[prefix + name] = None
                    walk(node, f"{prefix}{name}/")
                else:
                    found[prefix + name] = content(node)

        def content(file):
            how = model if choose is None else ("all", "metadata", "zeros")[int(choose() * 3)]
            if how in ("all", "torn"):
                return file.data
            if how == "zeros":
                return file.synced[: len(file.data)].ljust(len(file.data), b"\0")
            return file.synced

        walk(self.root, "")
        return found


@pytest.fixture(scope="session")
def crash():
    """The classes above: test files cannot import this one."""

    class Names:
        op, recorder, disk, killed = Op, Recorder, Disk, Killed

    return Names
