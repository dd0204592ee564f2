#!/bin/sh
# Finds a Python that can make the environment, then hands over to tools/setup_env.py.
# PYTHON=/path/to/python3.12 chooses one.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

usable() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

if [ -n "${PYTHON:-}" ]; then
    usable "$PYTHON" && exec "$PYTHON" "$here/setup_env.py" "$@"
    echo "setup: PYTHON=$PYTHON is not a Python 3.10 to 3.13; name one that is" >&2
    exit 1
fi
for name in python3 python3.12 python3.11 python3.13 python3.10; do
    usable "$name" && exec "$name" "$here/setup_env.py" "$@"
done
echo "setup: no Python 3.10 to 3.13 found (looked for python3, python3.10 ... python3.13)." >&2
echo "setup: install one, e.g. 'sudo apt install python3 python3-venv python3-dev'," >&2
echo "setup: or name one: make setup PYTHON=/path/to/python3.12" >&2
exit 1
