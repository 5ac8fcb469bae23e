"""The simulated Windows host: real WS-Man clients on one side, a world of LDPlayer emulators on the other.

Nothing here imports the collection (``plugins/``): both ends are written from docs/protocol.md and shared facts, so that a
mistake in one is not repeated by the other.
"""
