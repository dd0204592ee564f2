"""How commands end."""

NOBODY = 3
"""All went well and nobody was found."""

MEANINGS = {
    0: "done",
    1: "failed; one line on stderr says why",
    2: "called wrongly",
    NOBODY: "done, and nobody (`lift`, `demo`) or nothing (`search`) was found",
    129: "ended by SIGHUP (the terminal closed); what was done is kept",
    130: "interrupted (Ctrl-C); what was done is kept",
    143: "ended by SIGTERM; what was done is kept",
}
"""Exit code -> what it means; `--help` and the README say the same."""
