"""Imports go one way: every arrow that src/nnrun may contain is listed here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "nnrun"
LEAVES = {"amounts", "errors", "types", "options", "duration", "rows", "machine", "preprocessing"}
CATALOGUE = {
    "augment", "data", "layer", "loss", "metric", "penalty", "optimizer", "schedule", "average", "surface",
}  # fmt: skip

ALLOWED: dict[str, set[str]] = {
    "amounts": set(),
    "errors": set(),
    "rows": set(),
    "machine": set(),
    "duration": set(),
    "space": set(),
    "signals": set(),
    "hosts": {"errors", "hosts", "signals"},
    "preprocessing": {"errors"},
    "types": {"preprocessing", "rows", "statistics", "types"},
    "options": {"duration"},
    "statistics": {"errors", "statistics"},
    "storage": {"errors", "storage"},
    "device": {"errors", "machine", "record"},
    "spec": LEAVES - {"types"} | {"spec"},
    "catalog": LEAVES - {"types"} | {"catalog", "spec"},
    **{folder: LEAVES | {folder} for folder in CATALOGUE},
    **{folder: LEAVES | {folder, "statistics"} for folder in ("loss", "metric")},
    "kernels": {"kernels"},
    "data": LEAVES | {"data", "storage"},
    "layer": LEAVES | {"kernels", "layer"},
    "model": LEAVES | {"model", "layer"},
    "search": LEAVES | {"search", "space"},
    "tracking": set(),
    "tracker": LEAVES | {"tracker", "tracking"},
    "track": {"errors", "record", "report", "spec", "storage", "track", "tracking"},
    "training": LEAVES | {"hosts", "signals", "statistics", "training"},
    "record": {"amounts", "errors", "machine", "preprocessing", "record", "storage"},
    "report": {"amounts", "errors", "preprocessing", "record", "report", "spec", "statistics", "storage"},
    "build": {
        *LEAVES, "build", "catalog", "data", "kernels", "layer", "loss", "model", "optimizer", "schedule", "spec",
        "statistics", "training",
    },
    "runner": {
        *LEAVES, "build", "catalog", "device", "hosts", "record", "runner", "signals", "spec", "statistics", "storage",
        "training",
    },
    "race": LEAVES | {"build", "catalog", "race", "record", "report", "runner", "training"},
    "sweep": {
        *LEAVES, "build", "catalog", "device", "record", "report", "runner", "signals", "space", "spec",
        "statistics", "storage", "sweep", "training",
    },
    "probe": {
        "amounts", "machine",
        "build", "catalog", "errors", "kernels", "layer", "optimizer", "preprocessing", "probe", "record", "runner",
        "spec", "sweep", "training", "types",
    },
    "prediction": {
        *LEAVES, "data", "prediction", "record", "report", "runner", "signals", "spec", "statistics", "storage",
        "training",
    },
    "ensemble": {
        *LEAVES, "ensemble", "prediction", "record", "report", "runner", "signals", "statistics", "storage",
        "training",
    },
    "look": {
        "amounts", "errors", "layer", "look", "optimizer", "prediction", "preprocessing", "probe", "record", "report",
        "runner", "statistics", "training", "types",
    },
    "export": {
        "", "errors", "export", "kernels", "prediction", "preprocessing", "runner", "storage", "training",
    },
    "api": {
        "amounts", "api", "catalog", "ensemble", "errors", "prediction", "record", "report", "runner", "signals",
        "sweep", "track", "types",
    },
    "commands": {
        "", "amounts", "build", "catalog", "commands", "device", "duration", "ensemble", "errors", "export", "hosts",
        "kernels", "look", "prediction", "probe", "race", "record", "report", "runner", "signals", "spec", "statistics",
        "storage", "sweep", "track", "tracking", "types",
    },
    "cli": {"commands", "hosts"},
    "sklearn": {
        "amounts", "build", "catalog", "data", "device", "errors", "prediction", "preprocessing", "record", "runner",
        "sklearn", "spec", "storage", "training", "types",
    },
    "__init__": {"api", "errors", "sklearn"},
    "__main__": {"signals", "cli"},
}  # fmt: skip
FILES = sorted(SOURCE.rglob("*.py"))


def top(module: str) -> str:
    """nnrun.record.run -> record, nnrun -> ''"""
    return [*module.split("."), ""][1]


def imported(tree: ast.AST) -> set[str]:
    """The top-level parts of nnrun that a file imports, at module level or inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {top(alias.name) for alias in node.names if alias.name.split(".")[0] == "nnrun"}
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nnrun":
            if node.module == "nnrun":
                known = {path.stem for path in SOURCE.iterdir()}
                found |= {alias.name if alias.name in known else "" for alias in node.names}
            else:
                found.add(top(node.module))
    return found


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """The syntax tree of every file, below its path in the source."""
    return {file.relative_to(SOURCE): ast.parse(file.read_text()) for file in FILES}


def test_imports_only_what_lies_below(trees: dict[Path, ast.Module]) -> None:
    upward = {}
    for file, tree in trees.items():
        if above := imported(tree) - ALLOWED[file.parts[0].removesuffix(".py")]:
            upward[str(file)] = above
    assert not upward


def test_what_is_allowed_is_used(trees: dict[Path, ast.Module]) -> None:
    """But for the leaves, and what every folder of the catalogue may import; so the list is a drawing of the rooms."""
    used: dict[str, set[str]] = {}
    for file, tree in trees.items():
        used.setdefault(file.parts[0].removesuffix(".py"), set()).update(imported(tree))
    unused = {room: below - used[room] - LEAVES - {room} for room, below in ALLOWED.items()}
    assert {room: below for room, below in unused.items() if below} == {}


def test_texts_are_utf_8_whatever_the_locale_says(trees: dict[Path, ast.Module]) -> None:
    """Under LC_ALL=C, Python would read and write ASCII."""
    calls = [
        (str(file), node.lineno)
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("read_text", "write_text")
        and not any(keyword.arg == "encoding" for keyword in node.keywords)
    ]
    assert calls == []


def test_files_and_functions_fit_on_a_screen(trees: dict[Path, ast.Module]) -> None:
    texts = {str(file.relative_to(SOURCE)): file.read_text() for file in FILES}
    assert [file for file, text in texts.items() if text.count("\n") > 250] == []
    functions = [
        (str(file), node.name, (node.end_lineno or 0) - node.lineno)
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    assert [function for function in functions if function[-1] >= 60] == []


def test_all_is_what_is_public(trees: dict[Path, ast.Module]) -> None:
    """`__all__` lists every public function and class of a module, and nothing that is not there."""
    # The façade has a test of its own, and commands are public through the command line.
    modules = {file: tree for file, tree in trees.items() if str(file) not in ("__init__.py", "cli.py")}
    differences = {str(file): unlike_all(tree) for file, tree in modules.items()}
    assert {file: names for file, names in differences.items() if names} == {}


def unlike_all(tree: ast.Module) -> set[str]:
    """The public names that `__all__` of a module leaves out, and those that it lists and are not there."""
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets)
    ]
    if not listed:
        return set()
    defined = {
        n.name for n in tree.body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0] != "_"
    }
    targets = [target for n in tree.body if isinstance(n, ast.Assign) for target in n.targets]
    targets += [n.target for n in tree.body if isinstance(n, ast.AnnAssign)]
    assigned = {target.id for target in targets if isinstance(target, ast.Name)}
    imported_names = {
        (alias.asname or alias.name)
        for n in ast.walk(tree)
        if isinstance(n, (ast.ImportFrom, ast.Import))
        for alias in n.names
    }
    return (defined - set(listed[0])) | (set(listed[0]) - (defined | assigned | imported_names))


PLACEHOLDERS = {
    "one",
    "found",
    "own",
    "told",
    "said",
    "made",
    "there",
    "some",
    "each",
    "other",
    "wanted",
    "more",
    "them",
}
MOST_PLACEHOLDERS = 0.02  # of the functions may bind a name that says nothing about what it holds


def test_names_say_what_they_hold(trees: dict[Path, ast.Module]) -> None:
    """Hardly any function binds a placeholder: as a variable, a loop variable or an argument."""
    functions, guilty = 0, []
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions += 1
                bound = {
                    n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
                }
                arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
                names = PLACEHOLDERS & (bound | {argument.arg for argument in arguments})
                if names:
                    guilty.append(f"{file}: {node.name} {sorted(names)}")
    assert len(guilty) <= MOST_PLACEHOLDERS * functions, guilty


MOST_ANY = 3  # in 1,000 lines: objects of other libraries, and trees of which jax says no more itself


def test_what_travels_has_a_type(trees: dict[Path, ast.Module]) -> None:
    """A file that is read, and a record that is passed on, is a TypedDict or a NamedTuple, hardly ever `Any`."""
    names = {file: [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)] for file, tree in trees.items()}
    uses = {str(file): known.count("Any") for file, known in names.items() if "Any" in known}
    lines = sum(file.read_text().count("\n") for file in FILES)
    assert 1000 * sum(uses.values()) <= MOST_ANY * lines, sorted(uses.items(), key=lambda item: -item[1])


def test_few_files_lie_loose() -> None:
    """The top level holds the two ways in and what everything may import; all else has a room."""
    assert len(list(SOURCE.glob("*.py"))) <= 14


SAME_NAME = {
    "Model": "the two ways to use an exported folder, `from model import Model` and `from numpy_model import Model`",
}  # public classes that are defined twice, each with its reason


def named_types(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The public classes that a module defines, and its other names that look like one: aliases of types."""
    classes = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    assigned = {
        target.id
        for n in tree.body
        if isinstance(n, (ast.Assign, ast.AnnAssign)) and not is_type_parameter(n.value)
        for target in (n.targets if isinstance(n, ast.Assign) else [n.target])
        if isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper()
    }
    return {name for name in classes if name[0] != "_"}, assigned


def is_type_parameter(value: ast.expr | None) -> bool:
    """Whether it is a TypeVar or a ParamSpec, whose name means something in its module alone."""
    return isinstance(value, ast.Call) and getattr(value.func, "id", "") in {"TypeVar", "ParamSpec"}


def test_a_class_name_means_one_thing(trees: dict[Path, ast.Module]) -> None:
    """No public class has the name of a class, or of an alias of a type, in another module."""
    modules = {str(file): named_types(tree) for file, tree in trees.items()}
    homes: dict[str, list[str]] = {}
    for module, (classes, aliases) in modules.items():
        for name in classes | aliases:
            homes.setdefault(name, []).append(module)
    public = set().union(*(classes for classes, _ in modules.values()))
    twice = {name: homes[name] for name in sorted(public) if len(homes[name]) > 1}
    assert twice.keys() == SAME_NAME.keys(), twice
