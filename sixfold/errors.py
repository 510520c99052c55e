"""One exception per border. Each message says what is wrong and what to do next; each has its exit code."""

from __future__ import annotations


class SixfoldError(Exception):
    """Base of all errors that a user may see. `exit_code` is what the command line ends with."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.args[0]}\n  next: {self.hint}" if self.hint else str(self.args[0])


class ConfigError(SixfoldError):
    """A flag, a recipe, a question or an input file that cannot be used."""

    exit_code = 2


class EngineError(SixfoldError):
    """An engine that cannot be reached, refuses, or broke. `retryable` says that the same request may work later.

    `kind` is one of: unreachable, auth, context, refused, rate, server, protocol, missing, died.
    """

    exit_code = 3

    def __init__(
        self, message: str, *, hint: str = "", kind: str = "server", retryable: bool = False, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class NoAnswerError(SixfoldError):
    """Nothing that could be called an answer: every attempt failed, ran out of tokens, or the deadline came first."""

    exit_code = 4


class ModelError(SixfoldError):
    """A model that is missing, broken, of an unknown kind, or does not fit on the disk."""

    exit_code = 5


class TaskError(SixfoldError):
    """A task that is unknown, whose data is not there, or that failed its own check or audit."""

    exit_code = 6


class TrainError(SixfoldError):
    """A training run that cannot begin, was stopped by a gate or a detector, or whose folder belongs to another run."""

    exit_code = 7
