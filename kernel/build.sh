#!/bin/sh
# The recipe of the guest kernel. scripts/kernel.mjs runs it step by step; by hand, on an unpacked Debian source:
#   build.sh configure LINUX ARCH && build.sh compile LINUX ARCH JOBS && build.sh collect LINUX ARCH RESULTS
# What it depends on lies beside it: common.config, ARCH.config, patches. Where several programs have to run the last
# one takes this shell's place, so that a signal reaches it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
step=$1
linux=$2
arch=$3
shift 3
cd "$linux"

# Nothing of the caller's decides what comes out: not its language, not who and where it is.
unset CROSS_COMPILE KAFLAGS KCFLAGS KCONFIG_ALLCONFIG KCONFIG_CONFIG KCPPFLAGS LLVM MAKEFLAGS MAKELEVEL MFLAGS
export LC_ALL=C TZ=UTC
export KBUILD_BUILD_USER=vmhatch KBUILD_BUILD_HOST=vmhatch KBUILD_BUILD_VERSION=1
KBUILD_BUILD_TIMESTAMP=$(date --utc --date="@${SOURCE_DATE_EPOCH:-0}")
export KBUILD_BUILD_TIMESTAMP
# The kernel's name of the architecture, what its boot loaders take, and the tools on a machine of another architecture.
case $arch in
  x86_64) export ARCH=x86_64 image=bzImage tools=x86_64-linux-gnu- ;;
  aarch64) export ARCH=arm64 image=Image tools=aarch64-linux-gnu- ;;
  *) echo "build.sh: there is no kernel for '$arch'" >&2 && exit 2 ;;
esac
[ "$(uname -m)" = "$arch" ] || export CROSS_COMPILE="$tools"

case $step in
  configure)
    for patch in "$here"/patches/*.patch; do
      patch --strip=1 --forward --silent <"$patch"
    done
    make --silent tinyconfig
    scripts/kconfig/merge_config.sh -m .config "$here/common.config" "$here/$arch.config"
    exec make --silent olddefconfig
    ;;
  compile)
    exec make --jobs="$1" vmlinux "$image"
    ;;
  collect)
    cp "arch/$ARCH/boot/$image" "$1/$image"
    cp .config "$1/config"
    exec "${CROSS_COMPILE-}strip" --strip-all -o "$1/vmlinux" vmlinux
    ;;
  *)
    echo "usage: build.sh configure|compile|collect LINUX ARCH …" >&2
    exit 2
    ;;
esac
