"""CIFAR-10."""

from __future__ import annotations

from nnrun.data._cifar import PublishedCifar, Records, load
from nnrun.options import FilePath, Standardize
from nnrun.types import Source

__all__ = ["cifar10"]

_CLASSES = "airplane automobile bird cat deer dog frog horse ship truck"
_PUBLISHED = PublishedCifar(
    name="cifar10",
    archive="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    folder="cifar-10-batches-bin",
    labels=1,
    train=(
        Records(
            "data_batch_1.bin", 10000, "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"
        ),
        Records(
            "data_batch_2.bin", 10000, "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"
        ),
        Records(
            "data_batch_3.bin", 10000, "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"
        ),
        Records(
            "data_batch_4.bin", 10000, "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"
        ),
        Records(
            "data_batch_5.bin", 10000, "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"
        ),
    ),
    test=(
        Records("test_batch.bin", 10000, "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ),
)


def cifar10(root: FilePath | None = None, standardize: Standardize = "image") -> Source:
    """Small colour photos, 32x32, 50,000 for training and 10,000 for testing, 10 classes.

    root         a folder with cifar-10-binary.tar.gz, or with its unpacked .bin files; default:
                 $NNRUN_DATA_DIR, else downloaded once (170 MB)
    standardize  "image": one mean and deviation for all pixels

    Raises DataError if a file is missing, damaged, or not the published one by its content.
    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    return load(_PUBLISHED, root, 0, tuple(_CLASSES.split()), standardize)
