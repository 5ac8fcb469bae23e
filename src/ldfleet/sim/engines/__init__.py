"""Who carries out what comes to a host as PowerShell: the port, in Python, Microsoft's own, natively or under Wine, or answers to what Ansible sends itself.

Of the rooms, it imports ``machine``, ``ldplayer``, ``programs``, and of ``modules`` how Ansible wraps one.
"""
