"""Ansible's modules for Windows on a simulated host: doubles, which take a module's arguments and give its result. They change the world, not Windows.

What each takes and returns follows the modules of ansible.windows 3.3 and community.windows 3.1. Of the rooms, it imports ``machine`` and ``ldplayer``.
"""
