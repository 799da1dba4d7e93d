#!/bin/sh
# Installs lsi-edge as a service on a Raspberry Pi or another Debian machine, or takes it away again.
#
#   sudo ./install_device.sh --wheel lsi_edge-0.1.0-py3-none-any.whl   install, or update
#   sudo ./install_device.sh --rollback                                back to the release before
#   sudo ./install_device.sh --uninstall [--keep-data]                 nothing stays
#
# What it makes (everything below DIR with --root DIR, and then it starts and stops nothing):
#   /opt/lsi/releases/VERSION      one virtual environment per release, two are kept
#   /opt/lsi/current, previous     links to the release that runs and the one before
#   /opt/lsi/install_device.sh     this script; /opt/lsi/made: the groups and folders it had to make
#   /usr/local/bin/lsi-edge        link to the command
#   /etc/systemd/system/lsi-edge.service, /etc/udev/rules.d/70-lsi.rules,
#   /etc/sysusers.d/lsi.conf, /etc/tmpfiles.d/lsi.conf                 copied out of the release
#   the user lsi; groups spi, gpio, dialout, plugdev where missing
#   /etc/lsi (0750), /etc/lsi/creds (0700), /var/lib/lsi (0700)
set -eu
umask 022
PATH="$PATH:/usr/sbin:/sbin"

action=install wheel="" root="" python=python3 extra="[pi]" venv_options="" keep_data=""

die() { # what was found, what to try
    echo "install_device.sh: $1 Try: $2" >&2
    exit 1
}

say() { echo "$*"; }

usage() {
    sed -n '2,7p' "$0" | cut -c 3-
    say "  --python PROGRAM    the Python for the release, 3.11 to 3.13 (default: python3)"
    say "  --system-packages   take what Debian has installed for Python, for example python3-spidev"
    say "  --without-buses     no packages for SPI, GPIO, USB and serial: for a simulated board"
    say "  --root DIR          install below DIR"
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case "$1" in
            --wheel | --root | --python) [ $# -ge 2 ] || { usage >&2; exit 2; } ;;
        esac
        case "$1" in
            --wheel) wheel=$2; shift ;;
            --root) root=${2%/}; shift ;;
            --python) python=$2; shift ;;
            --system-packages) venv_options=--system-site-packages ;;
            --without-buses) extra="" ;;
            --rollback) action=rollback ;;
            --uninstall) action=uninstall ;;
            --keep-data) keep_data=yes ;;
            -h | --help) usage; exit 0 ;;
            *) usage >&2; exit 2 ;;
        esac
        shift
    done
}

set_paths() {
    [ -z "$root" ] || { mkdir -p "$root"; root=$(cd "$root" && pwd); }
    top=$root/opt/lsi
    made=$top/made
    unit=$root/etc/systemd/system/lsi-edge.service
    rules=$root/etc/udev/rules.d/70-lsi.rules
    accounts=$root/etc/sysusers.d/lsi.conf
    folders=$root/etc/tmpfiles.d/lsi.conf
    command=$root/usr/local/bin/lsi-edge
}

# --- what was there before, and what is ours -------------------------------------------------

make_folder() { # and remember every folder that was missing on the way
    [ -d "$1" ] && return
    make_folder "$(dirname "$1")"
    mkdir "$1"
    if [ -d "$top" ]; then echo "folder ${1#"$root"}" >>"$made"; else missing="$missing ${1#"$root"}"; fi
}

make_top() {
    missing=""
    make_folder "$top"
    for path in $missing; do echo "folder $path" >>"$made"; done
    make_folder "$top/releases"
}

has_account() { # passwd or group, name
    if [ -z "$root" ]; then getent "$1" "$2" >/dev/null; else grep -qs "^$2:" "$root/etc/$1"; fi
}

make_accounts() {
    for group in spi gpio dialout plugdev lsi; do
        has_account group "$group" || echo "group $group" >>"$made"
    done
    has_account passwd lsi || echo "user lsi" >>"$made"
    systemd-sysusers ${root:+"--root=$root"} "$accounts"
}

# --- releases --------------------------------------------------------------------------------

check_machine() {
    for tool in systemd-sysusers systemd-tmpfiles; do
        command -v "$tool" >/dev/null || die "There is no $tool." "a system with systemd, as Raspberry Pi OS is."
    done
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' ||
        die "$python is missing or not Python 3.11 to 3.13." "--python python3.11"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || die "$python has no venv module." "apt install python3-venv"
    [ -f "$wheel" ] || die "There is no wheel '$wheel'." "--wheel lsi_edge-VERSION-py3-none-any.whl"
}

version_of_wheel() {
    name=$(basename "$wheel")
    version=${name#lsi_edge-}
    version=${version%%-*}
    [ "$name" = "lsi_edge-$version-py3-none-any.whl" ] || die "'$name' is no wheel of lsi-edge." "the name it was built with."
    wheel=$(cd "$(dirname "$wheel")" && pwd)/$name
}

make_release() {
    release=$top/releases/$version
    digest=$(sha256sum <"$wheel")
    if [ -f "$release/.complete" ]; then
        [ "$(cat "$release/.complete")" = "$digest" ] ||
            die "Release $version is installed from another wheel." "a wheel with a version of its own."
        say "Release $version is installed already."
        return
    fi
    say "Installing release $version ..."
    rm -rf "$release"
    trap 'rm -rf "$release"' EXIT
    "$python" -m venv ${venv_options:+"$venv_options"} "$release"
    "$release/bin/python" -m pip --disable-pip-version-check --quiet install "$wheel$extra" ||
        die "pip could not install the packages." "a network; for spidev without a compiler: apt install python3-spidev, then --system-packages"
    # Nothing stays that could install more.
    "$release/bin/python" -m pip --disable-pip-version-check -qq uninstall --yes pip setuptools
    echo "$digest" >"$release/.complete"
    trap - EXIT
}

copy_system_files() { # out of the release that is current, so that a rollback takes them back too
    data=$("$top/current/bin/python" -I -c 'import hardware; print(*hardware.__path__)')
    for pair in "systemd/lsi-edge.service:$unit" "udev/70-lsi.rules:$rules" \
        "systemd/lsi.sysusers.conf:$accounts" "systemd/lsi.tmpfiles.conf:$folders"; do
        make_folder "$(dirname "${pair#*:}")"
        install -m 644 "$data/${pair%%:*}" "${pair#*:}"
    done
}

point() { # link, release: in one step, so that there is always a current release
    ln -sfn "releases/$2" "$top/$1.new"
    mv -T "$top/$1.new" "$top/$1"
}

release_of() { basename "$(readlink "$top/$1" 2>/dev/null)" 2>/dev/null || true; }

switch_to() {
    running=$(release_of current)
    [ "$running" = "$1" ] && return
    [ -z "$running" ] || point previous "$running"
    point current "$1"
}

drop_old_releases() {
    for path in "$top"/releases/*; do
        case "$(basename "$path")" in
            "$(release_of current)" | "$(release_of previous)") ;;
            *) rm -rf "$path" ;;
        esac
    done
}

# --- the service -----------------------------------------------------------------------------

start_service() {
    [ -z "$root" ] || return 0
    systemctl daemon-reload
    udevadm control --reload
    udevadm trigger --subsystem-match=spidev --subsystem-match=gpio --subsystem-match=hidraw --subsystem-match=tty
    systemctl --quiet enable lsi-edge
    if [ -f /etc/lsi/config.toml ]; then
        systemctl restart lsi-edge
    else
        say "Next: write /etc/lsi/config.toml, then sudo systemctl start lsi-edge"
    fi
}

install_release() {
    check_machine
    version_of_wheel
    make_top
    make_release
    switch_to "$version"
    copy_system_files
    make_accounts
    for path in /etc /var/lib; do make_folder "$root$path"; done
    systemd-tmpfiles --create ${root:+"--root=$root"} "$folders"
    make_folder "$(dirname "$command")"
    ln -sfn /opt/lsi/current/bin/lsi-edge "$command"
    cmp -s "$0" "$top/install_device.sh" || install -m 755 "$0" "$top/install_device.sh"
    drop_old_releases
    start_service
    say "Release $version runs."
}

rollback() {
    before=$(release_of previous)
    [ -f "$top/releases/${before:-none}/.complete" ] ||
        die "There is no release to go back to." "--wheel with the release that you want."
    switch_to "$before"
    copy_system_files
    start_service
    say "Release $before runs."
}

# --- uninstall -------------------------------------------------------------------------------

drop_accounts() {
    if grep -qsx "user lsi" "$made"; then
        userdel ${root:+--prefix "$root"} lsi
    fi
    sed -n 's/^group //p' "$made" | while read -r group; do
        ! has_account group "$group" || groupdel ${root:+--prefix "$root"} "$group"
    done
}

uninstall() {
    [ -f "$made" ] || die "There is nothing to uninstall." "the --root that it was installed to."
    [ -n "$root" ] || systemctl --quiet disable --now lsi-edge || true
    rm -f "$unit" "$rules" "$accounts" "$folders" "$command"
    if [ -z "$keep_data" ]; then
        rm -rf "$root/etc/lsi" "$root/var/lib/lsi"
        drop_accounts
    fi
    emptied=$(sed -n 's/^folder //p' "$made" | sort -ru)
    rm -rf "$top"
    for path in $emptied; do
        rmdir "$root$path" 2>/dev/null || true # gone with its content, or somebody else uses it
    done
    [ -n "$root" ] || { systemctl daemon-reload && udevadm control --reload; }
    say "Nothing is left${keep_data:+ but /etc/lsi, /var/lib/lsi and the accounts}."
}

read_arguments "$@"
set_paths
[ -n "$root" ] || [ "$(id -u)" = 0 ] || die "It has to run as root." "sudo $0 $*"
case $action in
    install) install_release ;;
    rollback) rollback ;;
    uninstall) uninstall ;;
esac
