"""CIFAR-100."""

from __future__ import annotations

from typing import Literal

from nnrun.data._cifar import PublishedCifar, Records, load
from nnrun.options import FilePath, Standardize
from nnrun.types import Source

__all__ = ["cifar100"]

_COARSE = """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices
    household_furniture insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes
    large_omnivores_and_herbivores medium_mammals non-insect_invertebrates people reptiles small_mammals trees
    vehicles_1 vehicles_2
"""
_FINE = """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
    bowl boy bridge bus butterfly camel can castle caterpillar cattle
    chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
    dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
    lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
    mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
    plain plate poppy porcupine possum rabbit raccoon ray road rocket
    rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
    train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
_PUBLISHED = PublishedCifar(
    name="cifar100",
    archive="cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder="cifar-100-binary",
    labels=2,
    train=(Records("train.bin", 50000, "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),),
    test=(Records("test.bin", 10000, "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),),
)


def cifar100(
    root: FilePath | None = None,
    labels: Literal["fine", "coarse"] = "fine",
    standardize: Standardize = "image",
) -> Source:
    """Small colour photos, 32x32, 50,000 for training and 10,000 for testing, 100 classes.

    root         a folder with cifar-100-binary.tar.gz, or with its unpacked .bin files; default:
                 $NNRUN_DATA_DIR, else downloaded once (169 MB)
    labels       "fine": 100 classes; "coarse": the 20 groups of five that they form
    standardize  "image": one mean and deviation for all pixels

    Raises DataError if a file is missing, damaged, or not the published one by its content.
    Source: Krizhevsky 2009, "Learning multiple layers of features from tiny images".
    """
    classes = _FINE if labels == "fine" else _COARSE
    return load(_PUBLISHED, root, 1 if labels == "fine" else 0, tuple(classes.split()), standardize)
