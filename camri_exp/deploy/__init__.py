"""A trained classifier at work: pictures in, classes out, here or in another program."""
