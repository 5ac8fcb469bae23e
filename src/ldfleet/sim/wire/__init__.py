"""The ways in: WS-Man with its shells, PSRP and SSH on loopback, who is let in, what can go wrong on the way, and what an inventory says of it.

It sees a machine through ``process.Machine`` only. Of the rooms, it imports ``machine``.
"""
