"""What runs on a machine beside LDPlayer's own: Windows' programs, ldfleet's probe as one of them, and the commands that a person types.

Words in, exit code and bytes out. Of the rooms, it imports ``machine`` and ``ldplayer``.
"""
