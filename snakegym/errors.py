"""What users are told: the one exception for mistakes that they can mend, and the one warning."""


class SnakegymError(ValueError):
    """Bad input: a configuration, trace, checkpoint, action or argument.

    The message is one line that names where it stands (file, field), what was found and what is
    expected. The command line prints it without a traceback and exits with status 2.
    """


def in_one_line(error: BaseException) -> str:
    """What an exception says, in one line; its name if it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


class SnakegymWarning(UserWarning):
    """Something that a user may have meant, and should know of; as plain as the errors."""
