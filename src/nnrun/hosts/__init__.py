"""Several processes, on one host or on many, that train one run together.

Process 0 drives: it alone decides, writes and prints.  The others follow: they carry out on their devices what it
sends them.  They meet through jax.distributed, whose key-value store carries their messages.
"""

from nnrun.hosts.joining import join, joined, leave
from nnrun.hosts.party import Party
from nnrun.hosts.request import HostsRequest, request_of

__all__ = ["HostsRequest", "Party", "join", "joined", "leave", "request_of"]
