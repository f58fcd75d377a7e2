"""A scripted stand-in for huggingface.co: real git repositories, the Hub's API, a CDN on another host, and faults on demand.

It is written from recordings of the Hub, not from what our own client expects, and needs nothing but Python and git.
    python3 -m tests.hub --root DIR --port 8000          DIR holds ORG/NAME folders
"""

from .faults import Faults
from .hub import Hub, load_root
from .proxy import Proxy
from .repo import File, Noise, Sparse

__all__ = ["Hub", "Faults", "File", "Noise", "Proxy", "Sparse", "load_root"]
