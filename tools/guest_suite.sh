#!/bin/bash
# The real hidapi, gpiod and rpi-lgpio against a real kernel: boots a guest under QEMU and runs tests/guest in it.
# Loads no module on this machine. Wants Debian 12 on x86-64, and root (or sudo) for the packages that are missing.
# usage: guest_suite.sh [PYTHON [FILE...]]     cache: $RUN_GUEST_SUITE_CACHE, else ~/.cache/lsi-guest
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
cd "$repository"
python=${1:-$repository/.venv/bin/python}
tests=("${@:2}")
[ ${#tests[@]} -gt 0 ] || tests=(tests/guest/inside_*.py)
cache=${RUN_GUEST_SUITE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lsi-guest}
PATH="$PATH:/usr/sbin:/sbin"
say() { echo "guest: $*" >&2; }

# What runs where. Modules are named without their dependencies.
stock_modules="virtio_pci 9pnet_virtio 9p configfs hid-generic uhid"
boot_limit_s=${RUN_GUEST_SUITE_LIMIT_S:-600}

install_packages() {
    kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/.*Depends: linux-image-\(6\.1\.[^ ]*\).*/\1/p' | head -1)
    [ -n "$kernel" ] || { say "no kernel 6.1 among this system's packages. Try: Debian 12, apt-get update"; exit 3; }
    local missing=""
    for package in qemu-system-x86 busybox-static cpio kmod gcc make xz-utils "linux-headers-$kernel"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "installing from Debian:$missing"
    local as_root=""
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    # shellcheck disable=SC2086 # several words on purpose
    $as_root apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends $missing >"$cache/apt.log" 2>&1 ||
        { say "apt-get failed, see $cache/apt.log. Try: sudo apt-get update"; exit 3; }
}

# Kernel image, its modules, and the three source files of the GPIO simulator, which Debian does not build.
fetch_kernel() {
    [ ! -e "$cache/$kernel/complete" ] || return 0
    say "fetching kernel $kernel and its source (210 MB, once)"
    rm -rf "${cache:?}/$kernel" && mkdir -p "$cache/$kernel/source"
    (cd "$cache/$kernel" && apt-get -qq download "linux-image-$kernel" linux-source-6.1 2>/dev/null)
    dpkg-deb -x "$cache/$kernel"/linux-image-*.deb "$cache/$kernel/image"
    dpkg-deb --fsys-tarfile "$cache/$kernel"/linux-source-*.deb | tar -xO ./usr/src/linux-source-6.1.tar.xz | xz -dc |
        tar -x -C "$cache/$kernel/source" --strip-components=1 --wildcards \
            '*/drivers/gpio/gpio-sim.c' '*/drivers/gpio/gpiolib*.h' '*/kernel/irq/irq_sim.c'
    rm "$cache/$kernel"/*.deb
    depmod -b "$cache/$kernel/image" "$kernel"
    touch "$cache/$kernel/complete"
}

# gpio-sim out of tree. The simulated interrupts below it become a module too; the one function they
# call that the kernel does not export has an exported twin.
build_gpio_sim() {
    local build="$cache/$kernel/gpio-sim"
    [ ! -e "$build/gpio-sim.ko" ] || return 0
    say "building gpio-sim for $kernel"
    rm -rf "$build" && mkdir -p "$build"
    cp "$cache/$kernel"/source/drivers/gpio/* "$build"
    sed -e '/#include <linux\/slab.h>/a #include <linux/module.h>' \
        -e 's/handle_simple_irq(irq_to_desc(irqnum))/generic_handle_irq(irqnum)/' \
        "$cache/$kernel/source/kernel/irq/irq_sim.c" >"$build/irq_sim.c"
    echo 'MODULE_LICENSE("GPL");' >>"$build/irq_sim.c"
    printf 'obj-m := gpio-sim-irq.o gpio-sim.o\ngpio-sim-irq-y := irq_sim.o\n' >"$build/Kbuild"
    make -C "/lib/modules/$kernel/build" M="$build" modules >"$build/make.log" 2>&1 ||
        { say "gpio-sim does not build, see $build/make.log"; exit 3; }
}

install_rpi_lgpio() {
    local stamp
    stamp=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    packages="$cache/$stamp"
    [ ! -d "$packages/RPi" ] || return 0
    say "fetching rpi-lgpio for $stamp"
    "$python" -m pip --disable-pip-version-check -q install --target "$packages" 'rpi-lgpio==0.6' 'lgpio==0.2.2.0' 2>"$cache/pip.log" ||
        { say "pip failed, see $cache/pip.log"; exit 3; }
}

# A copy, so that the tree may change while the guest reads it.
copy_tree() {
    rm -rf "$cache/tree" && mkdir "$cache/tree"
    tar -C "$repository" -c --exclude __pycache__ pyproject.toml hardware lsi firmware \
        tests/__init__.py tests/guest tools/guest_tests.sh | tar -C "$cache/tree" -x
}

pack_initramfs() {
    local root="$cache/initramfs"
    rm -rf "$root" && mkdir -p "$root"/{bin,proc,sys,dev,host,modules}
    cp /bin/busybox "$root/bin/busybox"
    install -m 755 "$repository/tools/guest_init.sh" "$root/init"
    printf 'GUEST_TREE=%q\nGUEST_PYTHON=%q\nGUEST_PACKAGES=%q\nGUEST_TESTS="%s"\n' \
        "$cache/tree" "$python" "$packages" "${tests[*]}" >"$root/guest.env"
    # "insmod PATH" lines, dependencies first; built-in ones say "builtin". Nothing is loaded here.
    for module in $stock_modules; do
        modprobe -d "$cache/$kernel/image" -S "$kernel" --show-depends "$module" || exit 3
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$cache/modules"
    ls "$cache/$kernel"/gpio-sim/gpio-sim-irq.ko "$cache/$kernel"/gpio-sim/gpio-sim.ko >>"$cache/modules"
    while read -r path; do
        cp "$path" "$root/modules/" && basename "$path" >>"$root/modules/order"
    done <"$cache/modules"
    (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$cache/initrd.gz"
}

# Emulation, not KVM: a nested guest may hang before its kernel starts.
boot() {
    say "booting, log in $cache/guest.log"
    timeout "$boot_limit_s" qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 1024 -smp 2 -nographic -no-reboot -nic none \
        -kernel "$cache/$kernel/image/boot/vmlinuz-$kernel" -initrd "$cache/initrd.gz" -append 'console=ttyS0 panic=-1 quiet' \
        -virtfs local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap,id=h0 \
        </dev/null >"$cache/guest.log" 2>&1 9>&- || say "qemu ended with $? (124: longer than $boot_limit_s s)"
}

report() {
    tr -d '\r' <"$cache/guest.log" >"$cache/guest.txt"
    sed -n 's/^\(tests\/guest[^ ]*\) \(PASSED\|FAILED\|ERROR\|SKIPPED\).*/\2  \1/p' "$cache/guest.txt"
    local passed
    passed=$(grep -c '^tests/guest.* PASSED' "$cache/guest.txt" || true)
    if grep -q '^GUEST-EXIT 0$' "$cache/guest.txt" && [ "$passed" -gt 0 ]; then
        say "$passed passed, on kernel $kernel"
        return 0
    fi
    say "FAILED; the end of $cache/guest.txt:"
    tail -60 "$cache/guest.txt" >&2
    return 1
}

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # one run at a time
install_packages
fetch_kernel
build_gpio_sim
install_rpi_lgpio
copy_tree
pack_initramfs
boot
report
