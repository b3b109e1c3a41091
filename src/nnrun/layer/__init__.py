"""Layers: one file each, the function of the same name returns a `Layer`.

For layers and models of one's own: `serial` puts layers one after another, `stateless` makes one from a function.
"""

from nnrun.layer._compose import serial, stateless

__all__ = ["serial", "stateless"]
