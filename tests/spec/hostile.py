"""Hostile specs: what may stand in a file or on a command line, and what nnrun says about it.

Data only, so that the same table runs against the reader and against the real command line.  Every case is
written to FILE = `spec.yaml` in a folder that also holds USER_FILES, and ends in a SpecError (exit code 2).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CASES", "USER_FILES", "VALID", "Hostile"]

VALID = """\
name: digits
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], dropout: 0.2}
loss: {name: cross_entropy}
optimizer: {name: adam, learning_rate: 1e-3}
schedule: {name: cosine, warmup: 5%}
train: {duration: 2 epochs, seed: 0}
"""

USER_FILES = {
    "raises.py": "import os\n\nraise RuntimeError('a\\x1b[31mred\\n line')\n",
    "exits.py": "import sys\n\nsys.exit(3)\n",
    "broken.py": "def net(:\n",
    "latin.py": b"name = '\xe9'\n",
    "empty.py": "",
    "mine.py": (
        "def net(outputs: int, width: int = 3): ...\n"
        "def bare(outputs, width=3): ...\n"
        "def star(outputs: int, **options: int): ...\n"
        "def odd(outputs: int, width: 'NoSuchType' = None): ...\n"
        "def bad_default(outputs: int, width: int = None): ...\n"
        "def called_name(outputs: int, name: str = 'x'): ...\n"
        "number = 3\n"
    ),
}


class Hostile(NamedTuple):
    """One case.

    spec       text or bytes of the file; None: there is no such file; "/": a folder of that name
    overrides  arguments after the file
    expected   parts of the message; `:LINE:COL:` stands for FILE:LINE:COL:
    """

    id: str
    spec: str | bytes | None
    overrides: tuple[str, ...]
    expected: tuple[str, ...]


def _file(id: str, spec: str | bytes | None, *expected: str) -> Hostile:
    return Hostile(id, spec, (), expected)


def _valid_but(id: str, old: str, new: str, *expected: str) -> Hostile:
    """VALID with one part of it written differently."""
    assert VALID.count(old) == 1, (id, old)
    return Hostile(id, VALID.replace(old, new), (), expected)


def _argument(id: str, argument: str, *expected: str) -> Hostile:
    return Hostile(id, VALID, (argument,), (f"argument {argument}: "[:60], *expected))


_BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"


def _layers(id: str, layers: str, *expected: str) -> Hostile:
    """VALID with a model made of layers."""
    return _valid_but(id, "mlp, hidden: [16], dropout: 0.2", f"sequential, layers: [{layers}]", *expected)


_FILES = [
    _file("missing file", None, "no such file", "`nnrun init` writes a starter"),
    _file("folder", "/", "is a folder"),
    _file("empty", "", ":1:1: the file is empty; `nnrun init`"),
    _file("only a comment", "# nothing\n", ":1:1: the file is empty"),
    _file("list at top", "- a\n- b\n", ':1:1: got ["a", "b"]; write keys such as'),
    _file("text at top", "hello\n", ':1:1: got "hello"; write keys such as'),
    _file("number at top", "3\n", ":1:1: got 3; write keys such as"),
    _file("null at top", "~\n", ":1:1: got null; write keys such as"),
    _file("two documents", VALID + "---\n" + VALID, ":8:1: a second document begins here; keep one"),
    _file("larger than 1 MiB", "#" + "x" * (1 << 20), ":1:1: larger than 1 MiB"),
    _file("not UTF-8", b"name: x\ndata: caf\xe9\n", ":2:10: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    _file("not UTF-8 behind wide letters", "π: π".encode() + b"\xff", ":1:5: byte 0xff is not UTF-8"),
    _file("UTF-16", VALID.encode("utf-16"), ":1:1: byte 0xff is not UTF-8"),
    _file("BOM and a mistake", b"\xef\xbb\xbf" + VALID.encode() + b"x: 1\n", ":8:1: x: unknown key"),
    _file("BOM in the middle", VALID + "\ufeffx: 1\n", ":8:1: the character U+FEFF is not allowed"),
    _file("NUL", "name: a\x00b\n", ":1:8: the character U+0000 is not allowed in YAML; remove it"),
    _file("escape sequence", "name: x\ndata: \x1b[31m\n", ":2:7: the character U+001B is not allowed"),
    _file("bell behind CRLF", b"name: x\r\n\r\ndata: \x07\r\n", ":3:7: the character U+0007 is not allowed"),
    _file("binary", bytes(range(256)) * 20, ":8:98: byte 0x80 is not UTF-8"),
]

_SYNTAX = [
    _file("tab as indentation", "data:\n\tname: digits\n", ":2:1: not valid YAML: a tab", "use spaces"),
    _file("quote not closed", "name: 'x\ndata: y\n", ":3:1: not valid YAML: a quote is not closed"),
    _file("two colons", "data: name: digits\n", ":1:11: not valid YAML: a ':' too many; put text"),
    _file("brace not closed", "data: {name: digits\nmodel: {name: mlp}\n", ":2:6: not valid YAML: ", "'}'"),
    _file("bracket not closed", "data: [1, 2\n", ":2:1: not valid YAML: ", "']'"),
    _file("key without colon", "data:\n  name: x\n  digits\n", ":4:1: not valid YAML: a key without ':'"),
    _file("indentation", "data:\n  name: x\n    y: z\n", ":3:6: not valid YAML: a ':' too many"),
    _file("dedent", "data:\n    name: x\n  y: z\n", ":3:3: not valid YAML: no key where one is expected"),
    _file("at sign", "name: @x\n", ":1:7: not valid YAML: a value cannot begin with @; put it in quotes"),
    _file("bomb", _BOMB, ":1:4: a: anchors (&name) are not allowed; write the value out"),
    _file("anchor", "a: &x 1\n", ":1:4: a: anchors"),
    _file("anchor on a key", "&x a: 1\n", ":1:1: anchors"),
    _file("alias", "a: *x\n", ":1:4: a: aliases (*name) are not allowed; write the value out"),
    _file("merge key", "data:\n  <<: {name: digits}\n", ":2:3: data: merge keys (<<) are not allowed"),
    _file("tag", "data: !!python/object/apply:os.system ['true']\n", ":1:7: data: tags (", "not allowed"),
    _file("own tag", "data: !include x.yaml\n", ":1:7: data: tags (!include) are not allowed"),
    _file("tag on a key", "!!str data: x\n", ":1:1: tags ("),
    _file("depth", "a: " + "[" * 60 + "]" * 60, "blocks more than 50 deep; write it flatter"),
    _file("depth bomb", "[" * (1 << 19), ":1:52: blocks more than 50 deep"),
    _file("brace bomb", "{" * (1 << 19), ":1:2: a key is a block or a list"),
    _file("dash bomb", "- " * (1 << 18), "blocks more than 50 deep"),
    _file("question bomb", "? " * (1 << 18), ":1:3: a key is a block or a list"),
    _file("many values", "data: [" + "1, " * 20_000 + "]", ":1:", "more than 10000 values"),
    _file("list as key", "? [a, b]\n: 1\n", ":1:3: a key is a block or a list; write a plain word"),
    _file("newer YAML", "%YAML 2.0\n---\na: 1\n", ":1:1: not valid YAML: "),
]

_SCALARS = [
    _valid_but(
        "on", "seed: 0", "deterministic: on", ":7:44: train.deterministic: on is true to some", "write true"
    ),
    _valid_but(
        "No", "seed: 0", "deterministic: No", "No is false to some readers only; write false, or 'No'"
    ),
    _valid_but("octal", "seed: 0", "seed: 017", ":7:35: train.seed: 017 is octal to some readers; write 17"),
    _valid_but("base 60", "2 epochs", "1:30", ":7:19: train.duration: 1:30 is a base-60 number", "'1:30'"),
    _valid_but(
        "underscores", "batch_size: 64", "batch_size: 1_000", ":2:34: data.batch_size: 1_000", "write 1000"
    ),
    _valid_but("nan", "1e-3", ".nan", ":5:40: optimizer.learning_rate: .nan is not allowed; write a finite"),
    _valid_but("infinity", "1e-3", "-.INF", "optimizer.learning_rate: -.INF is not allowed"),
    _valid_but("float overflow", "1e-3", "1e999", "learning_rate: 1e999 is too large for a number"),
    _valid_but(
        "float underflow", "1e-3", "1e-999", "learning_rate: 1e-999 is too small for a number; write 0"
    ),
    _valid_but("huge int", "seed: 0", "seed: 99999999999999999999", ":7:35: train.seed: 9999", "too large"),
    _valid_but("endless int", "seed: 0", f"seed: {'9' * 5000}", ":7:35: train.seed: 9999", "…", "too long"),
    _valid_but(
        "endless underscores", "seed: 0", f"seed: 1{'_' * 100_000}", ":7:35: train.seed: 1___", "too long"
    ),
]

_KEYS = [
    _file(
        "duplicate at top", VALID + "name: again\n", ":8:1: name: duplicate key (first in line 1); keep one"
    ),
    _valid_but(
        "duplicate inside", "seed: 0", "seed: 0, seed: 1", ":7:38: train.seed: duplicate key (first in"
    ),
    _file(
        "unknown at top", VALID + "optimiser: {}\n", ":8:1: optimiser: unknown key; did you mean optimizer?"
    ),
    _file(
        "section key at top",
        VALID + "batch_size: 3\n",
        ":8:1: batch_size: unknown key; it belongs inside data",
    ),
    _file(
        "dots in a file",
        VALID + "train.seeds: 3\n",
        ":8:1: train.seeds: unknown key; dots are for",
        "train: {seeds:",
    ),
    _file("empty key", VALID + ": 3\n", ":8:1: not valid YAML: no key where one is expected"),
    _valid_but(
        "unknown in a section", "seed: 0", "sed: 0", ":7:29: train.sed: unknown key; did you mean seed?"
    ),
    _valid_but(
        "key of another section",
        "seed: 0",
        "batch_size: 8",
        ":7:29: train.batch_size: unknown key; it belongs inside data",
    ),
    _valid_but(
        "foreign key in a section", "seed: 0", "my-key: 0", ":7:29: train.my-key: unknown key; write one of"
    ),
    _valid_but(
        "unknown in a block",
        "learning_rate",
        "lr",
        ":5:25: optimizer.lr: unknown key; did you mean learning_rate?",
    ),
    _valid_but(
        "misspelt in a block",
        "dropout",
        "dropuot",
        ":3:34: model.dropuot: unknown key; did you mean dropout?",
    ),
    _valid_but(
        "dashes", "batch_size", "batch-size", "data.batch-size: unknown key; did you mean batch_size?"
    ),
    _valid_but(
        "supplied by nnrun", "dropout: 0.2", "outputs: 10", ":3:34: model.outputs: nnrun sets this; remove"
    ),
    _layers(
        "unknown in a layer",
        "flatten, {name: dense, unit: 4}",
        ":3:59: model.layers.1.unit: unknown",
        "units",
    ),
    _valid_but("unknown model", "mlp", "mpl", ':3:9: model.name: there is no model "mpl"; did you mean mlp?'),
    _valid_but(
        "unknown loss",
        "cross_entropy",
        "zzz",
        ':4:8: loss.name: there is no loss "zzz"; write one of: absolute_error, binary_cross_entropy, cross_entropy',
    ),
    _layers(
        "unknown layer",
        "flatten, denes",
        ":3:",
        'model.layers.1.name: there is no layer "denes"; did you mean dense?',
    ),
    _layers(
        "layer without name", "{units: 3}", ":3:", "model.layers.0.name: missing; write one of: batch_norm"
    ),
    _layers("layer is a number", "3", ":3:", "model.layers.0: got 3; write a block {name"),
    _file(
        "unknown augmentation",
        VALID + "augment: [mixpu]\n",
        ":8:11: augment.0.name: there is no augment",
        "mixup",
    ),
    _file("augmentation is a number", VALID + "augment: 3\n", ":8:1: augment: got 3; write a block {name"),
    _file(
        "unknown in an augmentation",
        VALID + "augment: {name: cutout, side: 3}\n",
        ":8:25: augment.side: unknown key; did you mean size?",
    ),
    _file(
        "no pixels", VALID + "augment: {name: cutout, size: 0}\n", "augment.size: got 0; write a value ≥ 1"
    ),
    _file(
        "certain and more",
        VALID + "augment: {name: cutmix, p: 1.5}\n",
        "augment.p: got 1.5; write a value in [0, 1]",
    ),
    _file(
        "word of a choice",
        VALID + "augment: {name: mixup, per: row}\n",
        'augment.per: got "row"; write',
        "'example'",
    ),
    _valid_but("capital letters", "adam", "Adam", 'there is no optimizer "Adam"; did you mean adam?'),
    _valid_but("private module", "mlp", "_residual", 'there is no model "_residual"'),
    _valid_but("path as name", "mlp", "../layer/dense", 'there is no model "../layer/dense"; write one of'),
    _valid_but("name missing", "name: mlp, ", "", ":3:1: model.name: missing; write one of: "),
    _valid_but("name is a number", "name: mlp", "name: 3", ":3:9: model.name: got 3; write one of: "),
    _valid_but(
        "run name with a slash", "name: digits\n", "name: a/b\n", ':1:1: name: got "a/b"; write 1 to 40'
    ),
    _valid_but("run name with dots", "name: digits\n", "name: ..\n", ':1:1: name: got ".."'),
    _valid_but("run name with a newline", "name: digits\n", 'name: "x\\n"\n', 'name: got "x\\n"; write'),
    _valid_but(
        "run name too long", "name: digits\n", f"name: {'x' * 41}\n", "name: got", "write 1 to 40 letters"
    ),
    _valid_but("run name is a number", "name: digits\n", "name: 3\n", ":1:1: name: got 3; write 1 to 40"),
    _file("escape sequence in a key", VALID + '"\\e[2J": 1\n', ":8:1: \\x1b[2J: unknown key"),
    _file("newline in a key", VALID + '"a\\nb": 1\n', ":8:1: a\\nb: unknown key"),
    _valid_but(
        "escape sequence in a value", "2 epochs", '"\\e[2J\\a"', 'got "\\u001b[2J\\u0007": not a duration'
    ),
    _file("long key", VALID + f"? {'k' * 5000}\n: 1\n", ":8:3: kkkk", "…: unknown key"),
    _valid_but("long value", "2 epochs", "x" * 100_000, 'train.duration: got "xxxx', "…: not a duration"),
    _file(
        "only a name",
        "name: x\n",
        ":1:1: data: missing",
        ":1:1: model: missing",
        "train.duration: missing; add",
    ),
    _file("many mistakes", "".join(f"key{i}: 1\n" for i in range(3000)), "... and 2999 more"),
]

_TYPES = [
    _valid_but(
        "section is text", "{duration: 2 epochs, seed: 0}", "x", ':7:1: train: got "x"; write a block of keys'
    ),
    _valid_but(
        "section is null",
        "{duration: 2 epochs, seed: 0}",
        "null",
        ":7:1: train.duration: missing; add `duration",
    ),
    _valid_but(
        "block is a list", "{name: cross_entropy}", "[cross_entropy]", ":4:1: loss: got [", "nnrun list loss"
    ),
    _valid_but(
        "block is null", "{name: cross_entropy}", "", ":4:1: loss: got null; write `loss: {name: ...}`"
    ),
    _valid_but("true for int", "seed: 0", "seed: true", ":7:29: train.seed: got true; write a whole number"),
    _valid_but("1.0 for int", "seed: 0", "seed: 1.0", ":7:29: train.seed: got 1.0; write 1"),
    _valid_but("fraction for int", "seed: 0", "seed: 1.5", "train.seed: got 1.5; write a whole number"),
    _valid_but(
        "text for int", "seed: 0", 'seed: "3"', 'train.seed: got "3"; write a whole number without quotes'
    ),
    _valid_but("word for int", "seed: 0", "seed: one", 'train.seed: got "one"; write a whole number'),
    _valid_but("null for int", "seed: 0", "seed: null", "train.seed: got null; write a whole number"),
    _valid_but("list for int", "seed: 0", "seed: [1, 2]", "train.seed: got [1, 2]; write a whole number"),
    _valid_but(
        "int for bool", "seed: 0", "deterministic: 1", "train.deterministic: got 1; write true or false"
    ),
    _valid_but("text for bool", "seed: 0", "deterministic: 'on'", 'got "on"; write true or false'),
    _valid_but(
        "word for literal", "seed: 0", "precision: f32", "write 'float32', 'float64', 'tf32' or 'bfloat16'"
    ),
    _valid_but("float16", "seed: 0", "precision: float16", 'train.precision: got "float16": its gradients'),
    _valid_but("true for float", "1e-3", "true", ":5:25: optimizer.learning_rate: got true; write a number"),
    _valid_but("text for float", "1e-3", "'1e-3'", 'got "1e-3"; write a number without quotes'),
    _valid_but("list for float", "1e-3", "[1e-3]", "optimizer.learning_rate: got [0.001]; write a number"),
    _valid_but("block for float", "1e-3", "{a: 1}", 'got {"a": 1}; write a number'),
    _valid_but("null for float", "1e-3", "null", "optimizer.learning_rate: got null; write a number"),
    _valid_but("scalar for list", "[16]", "16", ":3:20: model.hidden: got 16; write a list: [16]"),
    _valid_but("float in a list", "[16]", "[16, 1e2]", ":3:33: model.hidden.1: got 100.0; write 100"),
    _valid_but("empty list", "[16]", "[]", "model.hidden: got []; write a list of at least 1"),
    _valid_but(
        "number for text",
        "digits, batch_size: 64",
        "csv, path: 3, target: y2",
        ":2:",
        "got 3; write text in quotes: '3'",
    ),
    _valid_but(
        "option missing", "hidden: [16], ", "", ":3:1: model.hidden: missing; add `hidden: ...` (units"
    ),
    _valid_but("word for int or full", "batch_size: 64", "batch_size: all", "write a whole number or 'full'"),
    _layers(
        "wrong type in a layer", "{name: dense, units: x}", 'model.layers.0.units: got "x"; write a whole'
    ),
    _valid_but(
        "layers is a block",
        "mlp, hidden: [16], dropout: 0.2",
        "sequential, layers: {name: relu}",
        "write a list in [ ]",
    ),
    _valid_but(
        "early stopping is true", "seed: 0", "early_stopping: true", "got true; write a block of keys"
    ),
    _valid_but(
        "nested unknown",
        "seed: 0",
        "early_stopping: {pateince: 3 epochs}",
        ":7:46: train.early_stopping.pateince: unknown",
        "did you mean patience?",
    ),
]

_RANGES = [
    _valid_but(
        "below", "dropout: 0.2", "dropout: -0.1", ":3:34: model.dropout: got -0.1; write a value in [0, 1)"
    ),
    _valid_but("above", "dropout: 0.2", "dropout: 1", ":3:34: model.dropout: got 1; write a value in [0, 1)"),
    _valid_but("negative rate", "1e-3", "-1e-3", "optimizer.learning_rate: got -0.001; write a value ≥ 0"),
    _valid_but("eps of zero", "1e-3", "1e-3, eps: 0", "optimizer.eps: got 0; write a value > 0"),
    _valid_but("no units", "[16]", "[16, 0]", ":3:33: model.hidden.1: got 0; write a value ≥ 1"),
    _valid_but(
        "empty batch",
        "batch_size: 64",
        "batch_size: 0",
        "data.batch_size: got 0; write a value ≥ 1 or 'full'",
    ),
    _valid_but("no seeds", "seed: 0", "seeds: 0", "train.seeds: got 0; write a value in [1, 1024]"),
    _valid_but("many seeds", "seed: 0", "seeds: 1025", "train.seeds: got 1025; write a value in [1, 1024]"),
    _valid_but(
        "large seed",
        "seed: 0",
        "seed: 2147483648",
        "train.seed: got 2147483648; write a value in [0, 2147483648)",
    ),
    _valid_but(
        "all held out",
        "batch_size: 64",
        "validation: 1.0",
        "data.validation: got 1.0; write a value in [0, 1)",
    ),
    _valid_but("hex", "seed: 0", "seed: 0xFFFFFFFF", "train.seed: got 4294967295; write a value in"),
    _valid_but(
        "negative norm", "1e-3", "1e-3, clip_norm: -1", "optimizer.clip_norm: got -1; write a value > 0"
    ),
]

_DURATIONS = [
    _valid_but(
        "no unit", "2 epochs", "30", ":7:9: train.duration: got 30: a duration needs a unit; write 30 epochs"
    ),
    _valid_but(
        "bad unit", "2 epochs", "2 epoch5", 'got "2 epoch5": not a duration; write a duration such as'
    ),
    _valid_but("unknown unit", "2 epochs", "2 weeks", "unknown unit 'weeks'; write a duration such as"),
    _valid_but(
        "percent of itself", "2 epochs", "5%", 'train.duration: got "5%": ', "write steps, epochs, examples"
    ),
    _valid_but("seconds of training", "2 epochs", "30 seconds", 'got "30 seconds": ', "write steps, epochs"),
    _valid_but("negative", "2 epochs", "-2 epochs", 'got "-2 epochs": not a duration; write'),
    _valid_but("negative number", "5%", "-5", "schedule.warmup: got -5: a duration needs a unit"),
    _valid_but("more than all", "5%", "101%", 'schedule.warmup: got "101%": more than 100% of the run'),
    _valid_but("part of a step", "2 epochs", "2.5 steps", "whole number"),
    _valid_but("endless", "2 epochs", "1e400 epochs", "too long"),
    _valid_but("true", "2 epochs", "true", "train.duration: got true: not a duration"),
    _valid_but("list", "2 epochs", "[2, epochs]", 'got [2, "epochs"]: not a duration'),
    _valid_but("null", "2 epochs", "null", "train.duration: got null: not a duration"),
    _valid_but("infinite", "2 epochs", "inf epochs", "not a duration"),
]

_USER = [
    _valid_but(
        "no such module", "mlp", "absent:net", ":3:9: model.name: there is no file absent.py beside the spec"
    ),
    _valid_but(
        "no such function",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:nett",
        "mine has no function nett; did you mean net?",
    ),
    _valid_but("not a function", "mlp", "mine:number", "mine has no function number"),
    _valid_but(
        "module raises",
        "mlp",
        "raises:net",
        ":3:9: model.name: importing raises failed at ",
        "raises.py:3: RuntimeError: a\\x1b[31mred\\n line",
    ),
    _valid_but("module exits", "mlp", "exits:net", "importing exits failed at", "SystemExit: 3"),
    _valid_but(
        "module does not parse",
        "mlp",
        "broken:net",
        "importing broken failed",
        "SyntaxError",
        "broken.py, line 1",
    ),
    _valid_but("module is not UTF-8", "mlp", "latin:net", "importing latin failed", "SyntaxError"),
    _valid_but("empty module", "mlp", "empty:net", "empty has no function net"),
    _valid_but(
        "no annotations",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:bare",
        "bare(width) has no type; annotate it as in `width: float`",
    ),
    _valid_but(
        "star",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:star",
        "star(options): options of a spec are passed by name",
    ),
    _valid_but(
        "unresolved annotation",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:odd",
        "mine:odd cannot be used: ",
        "NoSuchType",
    ),
    _valid_but(
        "default of another type",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:bad_default",
        "model.width: the default is null; write a whole number",
    ),
    _valid_but(
        "option called name",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:called_name",
        "called_name(name): a spec finds the function by this key",
    ),
    _valid_but(
        "unknown option of one's own",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:net, widht: 4",
        ":3:25: model.widht: unknown key; did you mean width?",
    ),
    _valid_but(
        "wrong type of one's own",
        "mlp, hidden: [16], dropout: 0.2",
        "mine:net, width: x",
        'model.width: got "x"; write a whole number',
    ),
    _valid_but(
        "path traversal",
        "mlp",
        "../mine:net",
        ":3:9: model.name: '../mine:net' is not the name of a function; write my_module:",
    ),
    _valid_but("absolute path", "mlp", "/etc/passwd:net", "is not the name of a function"),
    _valid_but("dots", "mlp", "..mine:net", "is not the name of a function"),
    _valid_but("no module", "mlp", '":net"', "is not the name of a function"),
    _valid_but("no function", "mlp", '"mine:"', "is not the name of a function"),
    _valid_but("call", "mlp", "mine:net()", "is not the name of a function"),
    _valid_but(
        "package of python",
        "mlp, hidden: [16], dropout: 0.2",
        "os:system",
        "os:system cannot be used: system(command) has no type",
    ),
]

_ARGUMENTS = [
    _argument("no equals sign", "train.seed", "not an override; write key.path=value"),
    _argument("no key", "=3", "not an override"),
    _argument("dash", "--seed=3", "not an override"),
    _argument("empty part", "train..seed=3", "not an override"),
    _argument("deep", ".".join("a" * 5000) + "=1", "not an override"),
    _argument("unknown key", "train.sed=3", "train.sed: unknown key; did you mean seed?"),
    _argument("unknown block", "optimiser.b1=0.5", "optimiser: unknown key; did you mean optimizer?"),
    _argument("bad value", "train.seed=x", 'train.seed: got "x"; write a whole number'),
    _argument(
        "out of range", "optimizer.learning_rate=-1", "optimizer.learning_rate: got -1; write a value ≥ 0"
    ),
    _argument("not finite", "optimizer.learning_rate=.inf", "optimizer.learning_rate: .inf is not allowed"),
    _argument("octal", "train.seed=010", "train.seed: 010 is octal to some readers; write 10"),
    _argument("bad YAML", "model.hidden=[16", "model.hidden: not valid YAML: "),
    _argument("bomb", "model.hidden=&a [*a]", "model.hidden: anchors (&name) are not allowed"),
    _argument("tag", "train.seed=!!int 3", "train.seed: tags ("),
    _argument(
        "duplicate", "optimizer={name: sgd, name: adam}", "optimizer.name: duplicate key; keep one of them"
    ),
    _argument("nothing", "train.duration=", "train.duration: got null: not a duration"),
    _argument(
        "index out of range",
        "model.hidden.1=3",
        "model.hidden.1: the list has no such entry; its entries are: 0 to 0",
    ),
    _argument("index is a word", "model.hidden.last=3", "model.hidden.last: the list has no such entry"),
    _argument("negative index", "model.hidden.-1=3", "not an override"),
    _argument(
        "inside a number", "train.seed.x=3", "train.seed: is 0, with no keys inside; write a shorter key"
    ),
    _argument("inside text", "train.duration.x=3", 'train.duration: is "2 epochs", with no keys inside'),
    _argument(
        "unknown name", "optimizer=adamm", 'optimizer.name: there is no optimizer "adamm"; did you mean adam?'
    ),
    Hostile("NUL", VALID, ("name=a\x00b",), ("argument name=a\\x00b: name: the character U+0000",)),
    Hostile("surrogate", VALID, ("name=\udcff",), ("argument name=\\udcff: name: the character U+DCFF",)),
    Hostile(
        "options of the old name",
        VALID,
        ("optimizer.b1=0.5", "optimizer.name=sgd"),
        (
            "argument optimizer.b1=0.5: optimizer.b1: unknown key; write one of: clip_adaptive, clip_array, clip_norm",
        ),
    ),
]

_GROUPS = {
    "file": _FILES,
    "syntax": _SYNTAX,
    "scalar": _SCALARS,
    "key": _KEYS,
    "type": _TYPES,
    "range": _RANGES,
    "duration": _DURATIONS,
    "user code": _USER,
    "argument": _ARGUMENTS,
}
CASES = [case._replace(id=f"{group}: {case.id}") for group, cases in _GROUPS.items() for case in cases]
