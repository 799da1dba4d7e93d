#!/bin/bash
# Runs inside the guest: the tests of tests/guest, with the real kernel below them.
# usage: guest_tests.sh TREE PYTHON PACKAGES FILE...
set -u
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$1:$3"
cd "$1" || exit 3
failed=0
# One process each: rpi-lgpio keeps its state in the module.
python=$2
shift 3
for file in "$@"; do
    "$python" -m pytest -v --color=no --tb=short -p no:cacheprovider -p no:hypothesispytest "$file" || failed=1
done
exit $failed
