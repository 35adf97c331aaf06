"""``tds demo``: the whole program against a stand-in for Zoho, and the proof that both sides are equal.

``mark`` makes sure that only the demo's own database is ever emptied; ``comparison`` reads both sides by other code
than the program's own; ``live`` shows changes arriving. Its processes cannot outlive it.
"""
