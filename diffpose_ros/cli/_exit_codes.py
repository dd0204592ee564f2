"""How commands end."""

NOBODY = 3
"""All went well and nobody was found."""

MEANINGS = {
    0: "done",
    1: "failed; one line on stderr says why",
    2: "wrong usage",
    NOBODY: "done, but nobody (`lift`, `demo`) or nothing (`search`) was found",
    129: "ended by SIGHUP (the terminal closed); finished work is kept",
    130: "interrupted (Ctrl-C); finished work is kept",
    143: "ended by SIGTERM; finished work is kept",
}
"""Exit code -> what it means; `--help` and the README say the same."""
