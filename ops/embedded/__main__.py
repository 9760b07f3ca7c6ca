"""`python -m ops.embedded`: what `make run` runs. Configured by the environment and `.env` alone."""

from __future__ import annotations

import os
import sys

from dotenv import dotenv_values

from ops.embedded.configuration import Wishes
from ops.embedded.faults import StackFault
from ops.embedded.stack import run, say


def main() -> int:
    """The exit code: 0 when it was asked to stop, 1 when it could not run."""
    written = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    try:
        run(Wishes(written | dict(os.environ)))
    except StackFault as fault:
        say(str(fault))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
