"""What can be wrong with settings changes, their versions, and reads that ask for a version."""

from miroir.errors.base import MiroirError, RequestRefused, Unavailable


class InvalidFloor(RequestRefused):
    """`X-Miroir-Min-Settings-Version` is neither a number nor `index=number` pairs."""

    code = "miroir_invalid_settings_version"


class SecretsRefused(RequestRefused):
    """Settings hold an embedder secret, and there is no key to keep it under."""

    code = "miroir_secret_key_missing"


class SettingsNotVerified(MiroirError):
    """A settings change was aborted because nodes did not show it; ends up in its task."""

    code = "miroir_settings_not_verified"
    http_status = 502
    error_type = "system"


class OutcomeUnknown(MiroirError):
    """No replica can tell how its part of a document write ended; ends up in the task."""

    code = "miroir_outcome_unknown"
    http_status = 502
    error_type = "system"


class NotAdoptable(RequestRefused):
    """Something speaks against taking an index over as it is; the message has the remedy."""

    code = "miroir_not_adoptable"
    http_status = 409


class SettingsVersionMismatch(RequestRefused):
    """The settings are no longer those that `If-Match` names; read them again."""

    code = "miroir_settings_version_mismatch"
    http_status = 412


class InvalidPrecondition(RequestRefused):
    """`If-Match` or `If-None-Match` is neither `*` nor a list of entity tags."""

    code = "miroir_invalid_precondition"


class InvalidNote(RequestRefused):
    """`X-Miroir-By` or `X-Miroir-Reason` is too long, or no line of plain text."""

    code = "miroir_invalid_note"


class InvalidCanary(RequestRefused):
    """A canary's golden queries are not as they should be written."""

    code = "miroir_invalid_canary"


class SettingsVersionNotFound(RequestRefused):
    """The index never had this settings version."""

    code = "miroir_settings_version_not_found"
    http_status = 404


class SettingsVersionNotKept(RequestRefused):
    """The version was committed by a release that did not keep complete settings."""

    code = "miroir_settings_version_not_kept"


class IntentNotFound(RequestRefused):
    """There is no intent of this number."""

    code = "miroir_intent_not_found"
    http_status = 404


class IntentNotWithdrawable(RequestRefused):
    """What is to be taken back has begun, has ended, or is no client's."""

    code = "miroir_intent_not_withdrawable"
    http_status = 409


class NoCoveringSet(Unavailable):
    """
    Some shard has no usable node.

    Attributes:
        shards: The shards that nobody can answer for, where known.
    """

    code = "miroir_no_covering_set"

    def __init__(self, message: str, shards: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.shards = shards


class SettingsVersionStale(Unavailable):
    """No covering set serves the settings version that the request asks for."""

    code = "miroir_settings_version_stale"


class TooManyIntents(Unavailable):
    """The queue of changes of one index is full."""

    code = "miroir_too_many_intents"
    retry_after_s = 10


class NotEverywhere(Unavailable):
    """A key or a feature could not be brought to every node, or not in time."""

    code = "miroir_not_everywhere"
    retry_after_s = 10


class SettingsFrozen(Unavailable):
    """Document writes are refused until the settings are repaired or thawed."""

    code = "miroir_settings_frozen"
    retry_after_s = 10


class CanaryFailed(MiroirError):
    """Golden queries do not hold on the changed nodes; nobody has seen the change."""

    code = "miroir_canary_failed"
    http_status = 409
    error_type = "invalid_request"


class NoSecondCover(RequestRefused):
    """Golden queries need half of the nodes to serve while the other half is changed."""

    code = "miroir_no_second_cover"
    http_status = 409


class ConfirmationPending(RequestRefused):
    """A change undoes itself unless it is confirmed; until then no other is taken."""

    code = "miroir_confirmation_pending"
    http_status = 409


class NothingToConfirm(RequestRefused):
    """No change of this index waits for being confirmed."""

    code = "miroir_nothing_to_confirm"
    http_status = 404
