"""
How a command ends when it cannot do its work: one clear message, no traceback, a known status.

    0   done            2   the command line or the configuration cannot be used
    1   not done        130 interrupted
"""


class CliFault(Exception):
    """The command cannot go on; the message is for the operator and says what to do."""

    exit_status = 1


class UsageFault(CliFault):
    """What was asked for cannot be used as it is."""

    exit_status = 2
