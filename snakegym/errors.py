"""The one exception for mistakes that a user can mend."""


class SnakegymError(ValueError):
    """Bad input: a configuration, trace, checkpoint, action or argument.

    The message is one line that names where it stands (file, field), what was found and what is
    expected. The command line prints it without a traceback and exits with status 2.
    """
