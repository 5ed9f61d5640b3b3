"""The strategy ``program``: a language model writes a program, and the program makes the rows.

``states``: what the author is asked for next, from the log alone. ``teacher``: the metered way to
answers. ``submission``: which rows count. ``attempt``: one program in the sandbox, with its tools.
``measures``: what a submission is like.
"""
