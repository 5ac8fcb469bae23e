"""``python -m ldfleet``: the same as the program ``ldfleet``."""

from .cli import main

main()
