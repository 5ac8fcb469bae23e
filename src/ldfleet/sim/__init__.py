"""The simulated Windows host: real WS-Man clients on one side, a world of LDPlayer emulators on the other.

Nothing here imports the collection (``plugins/``): both ends are written from docs/protocol.md and shared facts, so that a
mistake in one is not repeated by the other.

Its rooms are floors: each imports only what stands below it, and says which in its own first lines::

    farm                        several hosts in one process
    host    assembly            one of them: as a remote shell sees it, and with all that stands on it
    engines    laid             who carries out PowerShell; LDPlayers that come later
    modules    console          Ansible's modules; LDPlayer's command line
    programs                    Windows' programs
    ldplayer    wire            the world; the ways in
    machine    android          Windows; what runs in an emulator
"""
