"""Configs of other training tools -> a spec: ``dagent init --from FILE``.

A module per tool: the table of its names, what it does where a config is silent, and the few things
that a table cannot say. ``draft.py`` is what they fill in, ``spec.py`` writes it down.
"""
