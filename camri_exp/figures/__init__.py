"""Numbers to figures, one function per figure; each returns a matplotlib ``Figure`` and needs no display."""
