"""Functions of the user's own: `name: my_module:my_model` is `my_model` in `my_module.py` beside the spec.

Where there is no such file, the module is one of the installed packages.  Importing a module runs it.

A module beside a spec is kept under a private name that holds its folder, so that two specs in two folders
may each have a `model.py`.  What such a module imports from its own folder (`import helper`) is found too,
and forgotten when a module of another folder is imported, for the same reason.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

from nnrun.catalog.from_optax import from_optax
from nnrun.errors import one_line
from nnrun.spec.schema import nearest

__all__ = ["find", "is_user_name", "module_file", "neighbour_files"]

_WRITE = "write my_module:my_function for the function my_function of my_module.py beside the spec"
_neighbours: dict[str, Path] = {}  # modules that user modules imported from their own folder


def is_user_name(name: str) -> bool:
    """Whether a `name` of a spec means the user's own code."""
    return ":" in name


def find(name: str, folder: Path) -> Callable:
    """The function that `module:function` means, looked up in `folder`, then among the installed packages.

    Raises LookupError with what to write instead; the module's own errors are reported so too.
    """
    module_name, _, function_name = name.partition(":")
    if not _is_dotted(module_name) or not function_name.isidentifier():
        raise LookupError(f"{one_line(name, 60)!r} is not the name of a function; {_WRITE}")
    module = _imported(module_name, folder)
    function = getattr(module, function_name, None)
    if module_name.partition(".")[0] == "optax" and callable(function):
        return from_optax(function)
    if not callable(function):
        functions = [
            key for key, value in vars(module).items() if callable(value) and not key.startswith("_")
        ]
        raise LookupError(
            f"{module_name} has no function {function_name}; {nearest(function_name, functions)}"
        )
    return function


def module_file(name: str, folder: Path) -> Path | None:
    """The file of the module of a `module:function` name; None where it is not beside the spec."""
    path = folder.joinpath(*name.partition(":")[0].split("."))
    files = path.with_name(path.name + ".py"), path / "__init__.py"
    return next((file for file in files if file.is_file()), None)


def neighbour_files(folder: Path) -> list[Path]:
    """The files in `folder` that the user modules there have imported, sorted."""
    files = {module_file(name, home) for name, home in _neighbours.items() if home == folder}
    return sorted(file for file in files if file is not None)


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _imported(name: str, folder: Path) -> ModuleType:
    file = module_file(name, folder)
    try:
        with _beside(folder):
            return importlib.import_module(name) if file is None else _import_file(name, file)
    except (Exception, SystemExit) as error:  # a module can raise anything; SystemExit is a script's ending
        if file is None and isinstance(error, ModuleNotFoundError) and name.startswith(error.name or " "):
            expected = name.replace(".", "/") + ".py"
            message = f"there is no file {expected} beside the spec and no package {name}; check the spelling"
            raise LookupError(message) from None
        where = _line(error, file)
        what = f"{type(error).__name__}: {one_line(error, 160)}"
        raise LookupError(f"importing {name} failed{where}: {what}; fix the module") from error


def _line(error: BaseException, file: Path | None) -> str:
    """` at FILE:LINE` of the innermost line of the module itself that led to the error."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if file and f.filename == str(file)]
    return f" at {one_line(frames[-1].filename, 120)}:{frames[-1].lineno}" if file and frames else ""


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Makes the modules of `folder` importable while a user module is imported."""
    for name in [name for name, home in _neighbours.items() if home != folder]:
        del _neighbours[name]
        sys.modules.pop(name, None)
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the module may have changed the path itself
            sys.path.remove(str(folder))
        _neighbours.update({name: folder for name in set(sys.modules) - before if _lies_in(name, folder)})


def _lies_in(name: str, folder: Path) -> bool:
    """Whether a module was imported from a file directly in `folder`, or from a package there."""
    return module_file(name, folder) is not None and not name.startswith("_nnrun_user_")


def _import_file(name: str, file: Path) -> ModuleType:
    """The module in `file`; the same file twice is the same module, two files of one name are two modules."""
    digest = hashlib.sha256(str(file.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:12]
    private = f"_nnrun_user_{digest}_{name.replace('.', '_')}"
    if private in sys.modules:
        return sys.modules[private]
    inside = [str(file.parent)] if file.name == "__init__.py" else None
    location = importlib.util.spec_from_file_location(private, file, submodule_search_locations=inside)
    if location is None or location.loader is None:
        raise ImportError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(location)
    sys.modules[private] = module
    try:
        location.loader.exec_module(module)
    except BaseException:
        del sys.modules[private]
        raise
    return module
