"""A Windows machine without LDPlayer: its clock, drive, registry and state, who is logged on, what runs, how it is entered and what goes with its power.

It is the ground of the house and imports no other room.
"""
