"""LDPlayer on a machine: what it lays down there, its emulators and their configs, how it misbehaves, and what a start of Windows makes of it all.

``World`` is that machine with LDPlayer on it, and what every room above works on. Of the rooms, it imports ``machine`` and ``android``.
"""
