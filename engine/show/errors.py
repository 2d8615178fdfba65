"""The one kind of error that the `pedesis` command shows as a sentence instead of a stack trace.

Usage: `class NoDisplay(CannotStart)`; the command line catches CannotStart once and exits with 2. Any process.
"""


class CannotStart(Exception):
    """Something that is needed is missing or wrong: one sentence that says what, with the cure."""
