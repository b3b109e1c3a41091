"""MNIST."""

from __future__ import annotations

from nnrun.data._mnist import PublishedMnist, load
from nnrun.options import FilePath, Standardize
from nnrun.types import Source

__all__ = ["mnist"]

_PUBLISHED = PublishedMnist(
    name="mnist",
    mirrors=(
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ),
    sha256=(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
    md5=(
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    classes=tuple("0123456789"),
)


def mnist(root: FilePath | None = None, standardize: Standardize = "image") -> Source:
    """Handwritten digits, 28x28 grey, 60,000 for training and 10,000 for testing, 10 classes.

    root         a folder with the four files, plain or .gz; default: $NNRUN_DATA_DIR, else downloaded once
    standardize  "image": one mean and deviation for all pixels

    Raises DataError if a file is missing, damaged, or not the published one by its content.
    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition".
    """
    return load(_PUBLISHED, root, standardize)
