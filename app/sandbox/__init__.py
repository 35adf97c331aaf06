"""Stand-ins for outside systems: servers of their own, to try, demo and test against.

Nothing here imports the rest of ``app``: a stand-in that shared code with what it tests would share its mistakes.
"""
