#!/bin/busybox sh
# First process of the guest: loads the modules, enters the host's file system (read-only) and runs the tests there.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
. /guest.env
for module in $(cat /modules/order); do
    $b insmod "/modules/$module" || echo "guest: cannot load $module"
done
$b mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro hostroot /host
for folder in proc sys dev; do $b mount --bind "/$folder" "/host/$folder"; done
$b mount -t configfs none /host/sys/kernel/config
$b mount -t tmpfs tmp /host/run
$b chroot /host /bin/bash "$GUEST_TREE/tools/guest_tests.sh" "$GUEST_TREE" "$GUEST_PYTHON" "$GUEST_PACKAGES" $GUEST_TESTS
echo "GUEST-EXIT $?"
$b poweroff -f
