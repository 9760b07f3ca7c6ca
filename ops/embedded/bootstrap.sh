#!/bin/sh
# From a fresh Debian or Ubuntu machine with make, git and python3 to one that can run and test Lazaretto.
# Installs only what is missing, and may be interrupted and repeated at any moment.
# With the argument `tests`: what only the tests need, a browser and promtool, which take 400 MB.
set -eu
cd "$(dirname "$0")/../.."

# Looked for by what is used of them: packages are renamed between releases, and some machines have them from elsewhere.
missing_packages() {
    PATH="$PATH:/usr/sbin:/sbin"
    if [ "$1" = tests ]; then
        command -v chromium > /dev/null || echo chromium
        command -v promtool > /dev/null || echo prometheus
        return
    fi
    command -v redis-server > /dev/null || echo redis-server
    command -v clamd > /dev/null || echo clamav-daemon
    command -v freshclam > /dev/null || echo clamav-freshclam
    ldconfig -p | grep -q 'libarchive\.so\.13' || echo libarchive13
    ldconfig -p | grep -q 'libmagic\.so\.1' || echo libmagic1
    ldconfig -p | grep -q 'libseccomp\.so\.2' || echo libseccomp2
    ls /usr/lib/postgresql/*/bin/postgres > /dev/null 2>&1 || echo postgresql
    test -e /usr/share/clamav-testfiles/clam.exe || echo clamav-testfiles
    command -v exiftool > /dev/null || echo libimage-exiftool-perl
    command -v gpg > /dev/null || echo gnupg # makes the encrypted messages of the tests
    python3 -c 'import ensurepip, venv' 2> /dev/null || echo python3-venv
}

install_packages() {
    if [ "$(id -u)" = 0 ]; then
        as_root=
    elif sudo -n true 2> /dev/null; then
        as_root='sudo -n'
    else
        echo "Debian packages are missing; run: sudo apt-get install --no-install-recommends $*" >&2
        exit 1
    fi
    echo "installing Debian packages: $*"
    # RUNLEVEL: without systemd, the services are not started; with it they are, on ports and sockets that we do not use.
    apt="$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -o DPkg::Lock::Timeout=300"
    $apt update
    $as_root dpkg --configure -a || $apt install --yes --fix-broken # what an interrupted installation has left
    $apt install --yes --no-install-recommends "$@"
}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or newer is needed, python3 is $(python3 --version 2>&1)" >&2
    exit 1
}

mkdir -p .venv
exec 9> .venv/.lock # two `make run` at once install once, one after the other
flock 9

wanted=${1:-all}
packages=$(missing_packages "$wanted")
# shellcheck disable=SC2086 # one word for each package
[ -z "$packages" ] || install_packages $packages
[ "$wanted" = all ] || exit 0

echo 'installing the Python environment from ops/locks/development.txt'
python3 -m venv .venv
pip='.venv/bin/python -m pip --quiet --disable-pip-version-check install'
$pip --require-hashes --requirement ops/locks/development.txt
$pip --no-deps --no-build-isolation --editable . --editable api/client
# Once, also where Python is told to keep nothing: the supervisor, the worker and the command line start that much sooner.
.venv/bin/python -m compileall -q -j 0 worker api ops tests
