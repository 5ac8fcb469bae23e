"""The Android behind an emulator, as far as ldfleet asks it: apps, files and properties, a shell with its language, and the programs that this one runs.

It knows neither Windows nor LDPlayer, and imports no other room.
"""
