"""Fashion-MNIST."""

from __future__ import annotations

from nnrun.data._mnist import PublishedMnist, load
from nnrun.options import FilePath, Standardize
from nnrun.types import Source

__all__ = ["fashion_mnist"]

_PUBLISHED = PublishedMnist(
    name="fashion_mnist",
    mirrors=(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ),
    sha256=(
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    md5=(
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    classes=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)


def fashion_mnist(root: FilePath | None = None, standardize: Standardize = "image") -> Source:
    """Pictures of clothing, 28x28 grey, 60,000 for training and 10,000 for testing, 10 classes.

    root         a folder with the four files, plain or .gz; default: $NNRUN_DATA_DIR, else downloaded once
    standardize  "image": one mean and deviation for all pixels

    Raises DataError if a file is missing, damaged, or not the published one by its content.
    Source: Xiao, Rasul & Vollgraf 2017, "Fashion-MNIST: a novel image dataset".
    """
    return load(_PUBLISHED, root, standardize)
