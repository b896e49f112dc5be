"""Find the class that matters more often, without making the classifier worse as a whole."""

__version__ = "0.1.0"
