"""The errors a user can meet. Their text is one line: what was expected, what came, what to do."""


class DiffposeError(Exception):
    """Base of every error this package raises on purpose."""


class InputError(DiffposeError, ValueError):
    """A value that flows (image, keypoints, camera, stamp) is not what was promised."""


class ConfigError(DiffposeError, ValueError):
    """A parameter or a configuration file is wrong."""


class ModelError(DiffposeError):
    """A model file is missing, damaged, or made for something else."""


class BackendError(DiffposeError, RuntimeError):
    """An inference backend is not installed, failed to start, or failed while running."""
