#!/bin/sh
# Installs the Debian packages that tests use, and those that its arguments name, where they are missing and that is
# allowed; says so in one line otherwise.
set -eu
PATH="$PATH:/usr/sbin"
missing=""
for package in mosquitto minisign; do # each brings a command of its own name
    command -v "$package" >/dev/null 2>&1 || missing="$missing $package"
done
command -v mosquitto_sub >/dev/null 2>&1 || missing="$missing mosquitto-clients"
command -v jq >/dev/null 2>&1 || missing="$missing jq"
[ -n "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || missing="$missing postgresql"
command -v umockdev-wrapper >/dev/null 2>&1 || missing="$missing umockdev"
for package in gir1.2-umockdev-1.0 python3-gi "$@"; do # the chips behind umockdev are served from Python
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
# Its tests start a server of their own on loopback. Under systemd the package would start one for everybody: not by us.
[ -x /usr/sbin/sshd ] || [ -d /run/systemd/system ] || missing="$missing openssh-server"
[ -n "$missing" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root="sudo -n"
    sudo -n true 2>/dev/null || as_root="none"
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
    echo "Installing from Debian:$missing ..."
    # shellcheck disable=SC2086 # several words on purpose
    if { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1; then
        exit 0
    fi
fi
echo "Not installed:$missing. The tests that need them are skipped. Try: sudo apt install$missing"
