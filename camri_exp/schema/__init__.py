"""What values the keys of each command may have; checked before anything heavy starts.

``keys`` declares the keys, ``values`` checks one value and words what was expected, ``plugins`` derives the same from
the constructor of a plug-in, ``check`` walks a config, and ``listing`` lists all keys for ``--help`` and the docs.
pydantic is imported when the first value is checked, because ``--help`` does without it.
"""
