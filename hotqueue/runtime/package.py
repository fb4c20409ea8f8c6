"""Where this package's own files are, whose frames a traceback may leave out; and which version of it this is."""

from __future__ import annotations

import os
import sys

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def version() -> str:
    """Return the version of hotqueue; for those whom the package itself imports."""
    return str(sys.modules["hotqueue"].__version__)
