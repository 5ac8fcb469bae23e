"""ldfleet: fleets of LDPlayer (Android emulators on Windows) in a declared state.

The package is the outer door: CLI, Python API, simulated Windows host. What decides and acts lives in the Ansible
collection ``ldfleet.ldplayer``, which this package starts and never imports.
"""

__version__ = "0.1.0"
