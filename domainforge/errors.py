"""The errors a user can mend.

    DomainForgeError      1
    ├── ConfigError       2   a pipeline file, an option, a missing key
    ├── PromptError       6   a prompt file
    ├── SourceError       7   documents that can't be read, or none at all
    ├── TeacherError      8   an endpoint, a key, a server we start
    ├── BudgetError       9   a cap on dollars, tokens or hours is reached
    ├── DataError        10   rows that can't carry the next stage
    │   └── YieldError   14   too little came out; the message lists what produced nothing
    ├── TrainingError    11   a student that can't be loaded or trained
    ├── ExportError      12   saving or publishing
    └── StorageError     13   the disk, or a run folder that isn't ours

The number is the exit code. 3, 4 and 5 belong to verdicts (`run --gate`). Anything raised
outside this tree is a bug and keeps its traceback.
"""


class DomainForgeError(Exception):
    """Base of what a user can mend; the message says what, where, and what to do next."""

    exit_code = 1


class ConfigError(DomainForgeError):
    """A pipeline file or an option that can't be used; lists all faults, one a line."""

    exit_code = 2


class PromptError(DomainForgeError):
    """A prompt file that is missing, malformed, or can't be rendered."""

    exit_code = 6


class SourceError(DomainForgeError):
    """No documents, or a source that can't be reached."""

    exit_code = 7


class TeacherError(DomainForgeError):
    """The teacher can't be used: address, key, model, quota, or the server that we start."""

    exit_code = 8


class BudgetError(DomainForgeError):
    """A cap is reached; what was paid for is kept, and the same command goes on from there."""

    exit_code = 9


class DataError(DomainForgeError):
    """The rows at hand can't carry the next stage."""

    exit_code = 10


class YieldError(DataError):
    """Less came out than the run was told to accept."""

    exit_code = 14


class TrainingError(DomainForgeError):
    """The student can't be loaded, or there is nothing to train on."""

    exit_code = 11


class ExportError(DomainForgeError):
    """Saving or publishing failed."""

    exit_code = 12


class StorageError(DomainForgeError):
    """The disk is full, or a run folder is not one that this version wrote."""

    exit_code = 13
