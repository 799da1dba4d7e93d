#!/bin/sh
# Installs Debian's mosquitto when it is missing and that is allowed; says so in one line otherwise.
set -eu
PATH="$PATH:/usr/sbin"
command -v mosquitto >/dev/null 2>&1 && exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
    sudo -n true 2>/dev/null || as_root="none"
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing Debian's mosquitto ..."
    if { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends mosquitto; } >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "mosquitto is not installed: the tests that talk to a real broker are skipped. Try: sudo apt install mosquitto"
