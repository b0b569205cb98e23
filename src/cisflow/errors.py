"""The one error that a user is meant to see."""


class CisflowError(Exception):
    """A problem that the user can mend.

    Its text says what is wrong, in which file and line or key, and what to do. Scripts and the command line print
    it without a traceback; any other exception is a defect of cisflow and keeps its traceback.
    """
