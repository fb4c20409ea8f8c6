"""python -m hotqueue: the command `hotqueue`, where its script is not on the path."""

from __future__ import annotations

from hotqueue.cli.admin import main

if __name__ == "__main__":
    main()
