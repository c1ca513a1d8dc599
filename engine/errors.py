"""What can go wrong for a user: each error is one line that says what was given, what is allowed, what to do."""


class EngineError(Exception):
    """Base of every error that the engine raises on purpose; the command line prints it and exits with status 2."""


class InputError(EngineError):
    """Something that the user gave (a file, a folder, a name, a value) cannot be used."""


class FetchError(EngineError):
    """A download or a copy from outside did not give the expected bytes."""


class StoreError(EngineError):
    """The cache cannot be written or read."""


class WriteError(StoreError):
    """The cache cannot be written: the disk is full, or the place is read-only. Whatever is tried next fails too."""


class TrainingError(EngineError):
    """A training run cannot go on."""
