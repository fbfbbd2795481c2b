#!/bin/sh
# Makes an image of a node, one step for each layer; run by the Dockerfile that ofm writes. What is there is not
# installed again, so a root file system that has it all needs no network.
set -eu
here=$(dirname "$0")

is_installed() {
    case $manager in
        apt-get) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
        dnf) rpm -q --whatprovides "$1" >/dev/null 2>&1 ;;
    esac
}

# Names of packages, or files with a slash in their paths.
install_packages() {
    missing=
    for package in "$@"; do
        case $package in
            */*) missing="$missing $package" ;;
            *) is_installed "$package" || missing="$missing $package" ;;
        esac
    done
    if [ -z "$missing" ]; then
        echo "nothing to install"
        return
    fi
    echo "installing$missing"
    case $manager in
        apt-get)
            # Packages must not start the services that they bring.
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
            apt-get update -q
            # shellcheck disable=SC2086 # a list of words
            DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
            rm -rf /var/lib/apt/lists/* /usr/sbin/policy-rc.d
            ;;
        dnf)
            # shellcheck disable=SC2086
            dnf install -y --setopt=install_weak_deps=False --setopt=tsflags=nodocs $missing
            dnf clean all
            ;;
    esac
}

list() {
    cat "$here/$manager-$1"
}

configure() {
    [ -x ./configure ] || ./boot.sh
    ./configure --prefix=/usr --sysconfdir=/etc --localstatedir=/var --enable-ssl --disable-libcapng "$@" CFLAGS="$CFLAGS"
}

# Compiles and puts what is to be installed below /out, without the folders that a node has of its own.
compile() {
    make -j"$(nproc)"
    make install DESTDIR=/out
    rm -rf /out/var /out/run /out/usr/share/man /out/usr/lib/*.a /out/usr/lib/*.la
}

if command -v apt-get >/dev/null; then
    manager=apt-get
elif command -v dnf >/dev/null; then
    manager=dnf
else
    echo "error: the base image has neither apt-get nor dnf" >&2
    exit 1
fi

# shellcheck disable=SC2046 # lists of words
case $1 in
    distribution) install_packages $(list tools) $(list ovn) ;;
    tools) install_packages $(list tools) $(list libraries) ;;
    packages) install_packages "$here"/packages/* ;;
    compilers) install_packages $(list compilers) ;;
    ovs)
        cd "$here/ovs"
        configure
        compile
        ;;
    ovn)
        cd "$here/ovn"
        # OVN is made for the version of Open vSwitch that it has as a submodule, where that is filled in.
        ovs=$here/ovn/ovs
        if [ -e "$ovs/boot.sh" ]; then
            (cd "$ovs" && configure && make -j"$(nproc)")
        else
            ovs=$here/ovs
        fi
        configure --with-ovs-source="$ovs"
        compile
        ;;
    *)
        echo "error: no step $1" >&2
        exit 2
        ;;
esac
