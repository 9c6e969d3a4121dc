#!/bin/sh
# Runs pipeline.yaml, or goes on with the run that an earlier call left when it was killed.
#   release.sh [pipeline.yaml] [--var NAME=VALUE ...]
set -u
file=pipeline.yaml
case "${1:-}" in ''|-*) ;; *) file=$1; shift ;; esac

left=$(tagback pipeline list --file "$file" --json 2>/dev/null |
    python3 -c 'import json, sys
runs = json.load(sys.stdin).get("runs", [])
print(next((r["run"] for r in runs if r["state"] in ("running", "waiting")), ""))')

if [ -n "$left" ]; then
    tagback pipeline resume "$left" --file "$file" --junit junit.xml --markdown summary.md
else
    tagback pipeline run "$file" "$@" --junit junit.xml --markdown summary.md
fi
status=$?

case $status in
    0) echo "released" ;;
    1) echo "failed; every database that was to go back is back, verified: summary.md" ;;
    5) echo "a database is NOT back, a person is needed: summary.md" >&2 ;;
    6) echo "another runner has the run" >&2 ;;
    130) echo "interrupted; call this again, and it goes on" >&2 ;;
esac
exit $status
