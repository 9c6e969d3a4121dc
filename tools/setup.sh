#!/bin/sh
# Finds a Python 3.11 or newer that can make virtual environments, and lets tools/environment.py do the rest.
# Usage: tools/setup.sh run|test|bench        PYTHON=/path/to/python chooses another interpreter.
set -eu
cd "$(dirname "$0")/.."

new_enough() { # also false for wrappers that exist but name no installed version
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

if [ -n "${PYTHON:-}" ]; then
    new_enough "$PYTHON" || { echo "PYTHON=$PYTHON is not a working Python 3.11 or newer." >&2; exit 1; }
    exec "$PYTHON" tools/environment.py "$@"
fi
for candidate in python3.11 python3 python3.12 python3.13 python3.14; do
    if new_enough "$candidate"; then
        exec "$candidate" tools/environment.py "$@"
    fi
done
cat >&2 <<'TEXT'
Python 3.11 or newer was not found on PATH.
    Debian 12 or newer, Ubuntu 24.04 or newer:  apt-get install python3 python3-venv
    elsewhere: install Python >= 3.11 and name it:  make setup PYTHON=/path/to/python3.11
TEXT
exit 1
