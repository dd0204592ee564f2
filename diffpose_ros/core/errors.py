"""Errors that users can meet. Each text is one line: what was expected, what came, what to do."""


class DiffposeError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(DiffposeError, ValueError):
    """An input (image, keypoints, camera, stamp) is not as documented."""


class ConfigError(DiffposeError, ValueError):
    """A parameter or a configuration file is wrong."""


class ModelError(DiffposeError):
    """A model file is missing, damaged, or of the wrong kind."""


class BackendError(DiffposeError, RuntimeError):
    """An inference backend is not installed, failed to start, or failed while running."""
