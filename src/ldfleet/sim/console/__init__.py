"""LDPlayer's command line, ldconsole: its words, and what each command says. What a command does is the world's, or its guest's.

Of the rooms, it imports ``machine``, ``ldplayer``, ``android``, and of ``programs`` how Windows splits a command line.
"""
