#!/bin/bash
#
# testbed.sh - a disposable Debian 12 system with real systemd as PID 1, plus
# client machines on the same (virtual) LAN, for testing a .deb for real.
#
# It needs no virtual machine, no Docker, no running systemd on the host and
# no network inside the test system. One "server" container is booted with
# systemd-nspawn; "client" containers (a shell, curl, tftp clients)
# sit on the same Ethernet segment, each in its own network namespace:
#
#     server eth0 10.55.0.1  --+                    all of it in namespaces of
#     client1 eth0 10.55.0.11 -+-- bridge (own      its own; nothing is attached
#     client2 eth0 10.55.0.12 -+   namespace)       to the host's network
#
# Run "testbed.sh help" for the commands. Must run as root. Only Debian
# packages are used; what the host lacks is installed with apt-get.

# shellcheck disable=SC2012,SC2016,SC2119,SC2120
set -euo pipefail

PROG=$(basename "$0")
SELF=$(readlink -f "$0")

# ---------------------------------------------------------------- settings --

: "${TESTBED_DIR:=/var/tmp/provd-appliance}" # all state lives here
: "${TESTBED_SUITE:=bookworm}"              # Debian release of the test system
: "${TESTBED_CLIENTS:=2}"                   # number of client machines
: "${TESTBED_NET4:=10.55.0}"                # first three bytes of the IPv4 /24
: "${TESTBED_NET6:=fd55::}"                 # IPv6 /64 prefix
: "${TESTBED_BOOT_TIMEOUT:=90}"             # seconds allowed to reach multi-user
: "${TESTBED_STOP_TIMEOUT:=30}"             # seconds allowed for a clean poweroff
: "${TESTBED_EXEC_TIMEOUT:=600}"            # seconds allowed per exec/netns-client

# Installed in the root file system, shared by the server and the clients.
: "${TESTBED_PACKAGES:=
    systemd systemd-sysv dbus adduser logrotate procps
    iproute2 iputils-ping nftables ca-certificates
    python3 python3-pytest python3-hypothesis fail2ban python3-systemd
    busybox curl atftp tftp-hpa}"

# ----------------------------------------------------------------- helpers --

say() { printf '%s: %s\n' "$PROG" "$*" >&2; }
die() { say "error: $*"; exit 1; }

usage() {
    cat <<USAGE
usage: $PROG COMMAND [ARG...]

  build                 make the root file system (cached as a tarball)
  boot                  start the server and the clients, wait until they are up
  exec CMD...           run CMD as root in the server
  netns-client [-n N] CMD...
                        run CMD as root in client N (default 1)
  netns-host [-n N] CMD...
                        run a command of the HOST in client N's network
                        (-n server: in the server's network)
  install PKG|FILE.deb...
                        install in the server; dependencies are fetched by the
                        host's apt, the server itself has no network
  push SRC... DIR       copy host files into a directory of the server
  log                   print the server's console output
  stop                  power off everything (the disks are kept)
  reset                 stop, and put all disks back to the pristine state
  destroy [--keep-cache]
                        stop and remove everything (or all but the downloads)

State: \$TESTBED_DIR (now $TESTBED_DIR). Other TESTBED_* settings
are described at the top of the script.
USAGE
}

# The directory and the instance name; the name keeps two test beds apart.
init() {
    [ "$(id -u)" -eq 0 ] || die "must run as root"
    case $TESTBED_DIR in
        /|/etc|/usr|/var|/var/tmp|/tmp|/home|/root|"") die "unsuitable TESTBED_DIR '$TESTBED_DIR'" ;;
        /*) ;;
        *) die "TESTBED_DIR must be an absolute path" ;;
    esac
    case $TESTBED_DIR in
        *[!A-Za-z0-9/._-]*) die "TESTBED_DIR: only letters, digits and / . _ - please" ;;
    esac
    if [ -d "$TESTBED_DIR" ] && [ ! -e "$TESTBED_DIR/.testbed" ] \
            && [ -n "$(ls -A "$TESTBED_DIR")" ]; then
        die "$TESTBED_DIR exists and is not a test bed"
    fi
    NAME=tb$(printf '%s' "$TESTBED_DIR" | cksum | awk '{printf "%08x", $1}')
    BASE=$TESTBED_DIR/base
    CACHE=$TESTBED_DIR/cache
    RUN=$TESTBED_DIR/run
    SHARED=$TESTBED_DIR/shared
}

make_dirs() {
    mkdir -p "$TESTBED_DIR" "$CACHE/debs/partial" "$RUN" "$SHARED"
    : > "$TESTBED_DIR/.testbed"
}

# One build/boot/stop at a time. Children must not inherit the lock (9>&-).
lock() {
    [ -d "$TESTBED_DIR" ] || return 0
    exec 9> "$TESTBED_DIR/.lock"
    flock -w 600 9 || die "another $PROG holds $TESTBED_DIR/.lock"
}

machines() {
    local i
    echo server
    for ((i = 1; i <= TESTBED_CLIENTS; i++)); do echo "client$i"; done
}

# Every machine this test bed ever started (TESTBED_CLIENTS may have changed).
known_machines() {
    { machines; [ ! -d "$RUN" ] || ls "$RUN" | sed -n 's/\.pid$//p'; } | sort -ru
}

# Once a day for this test bed (and whenever the host has no lists at all).
apt_update_if_stale() {
    local stamp=$CACHE/apt-updated
    if compgen -G '/var/lib/apt/lists/*Packages*' >/dev/null \
            && [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ]; then
        return
    fi
    say "refreshing the host's package lists"
    apt-get -qq -o DPkg::Lock::Timeout=300 update >&2
    touch "$stamp"
}

ensure_host_tools() {
    local spec missing=()
    for spec in systemd-nspawn:systemd-container mmdebstrap:mmdebstrap ip:iproute2 \
                zstd:zstd nsenter:util-linux flock:util-linux; do
        command -v "${spec%%:*}" >/dev/null || missing+=("${spec#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing on the host: ${missing[*]}"
    apt_update_if_stale
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 \
        install --no-install-recommends "${missing[@]}" >&2
}

# ------------------------------------------------------------------- build --

# The host's own Debian sources for the suite, as one-line entries; empty if
# the host has none, in which case mmdebstrap uses its default mirror.
debian_sources() {
    apt-get indextargets --format \
        '$(ORIGIN)|$(CODENAME)|deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
        'Created-By: Packages' 2>/dev/null |
    awk -F'|' -v suite="$TESTBED_SUITE" '
        $1 == "Debian" && ($2 == suite || index($2, suite "-") == 1) && !seen[$3]++ {print $3}'
}

package_list() { printf '%s' "$TESTBED_PACKAGES" | tr -s ' \n\t' '\n' | sed '/^$/d' | sort -u; }

# Changes whenever the recipe does, so that an old tarball is never reused.
recipe_key() {
    { echo "$TESTBED_SUITE"; package_list; declare -f customize make_tarball; } |
        sha256sum | cut -c1-12
}

# Runs on the host against the fresh tree "$1", before it is packed.
customize() {
    local root=$1 unit
    # No package sources: the test system is offline, "install" serves it.
    rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
    rm -f "$root"/var/log/apt/* "$root"/var/log/dpkg.log "$root"/var/log/alternatives.log
    : > "$root/etc/resolv.conf"
    : > "$root/etc/machine-id"
    ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
    # Useless or noisy in a container.
    for unit in apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer \
                e2scrub_reap.service dpkg-db-backup.timer systemd-pstore.service \
                dev-hugepages.mount console-getty.service getty.target; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
}

make_tarball() {
    local tarball=$1 sources
    sources=$(debian_sources)
    # The hook is this script again, with the directory as the argument.
    printf '%s\n' "$sources" | timeout 900 mmdebstrap --quiet --mode=root --variant=apt \
        --format=tar \
        --aptopt='Acquire::Languages "none"' \
        --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright' \
        --include="$(package_list | paste -sd,)" \
        --customize-hook="'$SELF' __customize \"\$1\"" \
        "$TESTBED_SUITE" - ${sources:+-} | zstd -q -T0 -3 > "$tarball.tmp"
    mv "$tarball.tmp" "$tarball"
}

cmd_build() {
    local key tarball start=$SECONDS
    make_dirs
    lock
    ensure_host_tools
    key=$(recipe_key)
    tarball=$CACHE/rootfs-$key.tar.zst
    if [ -e "$tarball" ] && [ "$(cat "$BASE.key" 2>/dev/null)" = "$key" ]; then
        say "the root file system is up to date"
        return
    fi
    any_running && die "the root file system changed while machines run: 'stop' first"
    if [ ! -e "$tarball" ]; then
        say "building the root file system (about a minute)"
        apt_update_if_stale
        make_tarball "$tarball"
    fi
    wipe_disks
    rm -rf --one-file-system "$BASE" "$BASE.key"
    mkdir -p "$BASE"
    zstd -qdc "$tarball" | tar -C "$BASE" --numeric-owner --xattrs --xattrs-include='*' -xpf -
    echo "$key" > "$BASE.key"
    say "built in $((SECONDS - start)) s: $(du -sh "$BASE" | cut -f1) unpacked, $(du -h "$tarball" | cut -f1) tarball"
}

wipe_disks() {
    rm -rf --one-file-system "${TESTBED_DIR:?}"/disk-*
}

# --------------------------------------------------------------- processes --

# The systemd-nspawn process of machine $1, if it runs. The name on its
# command line is checked, so that a reused process number is never trusted.
supervisor() {
    local pid
    pid=$(cat "$RUN/$1.pid" 2>/dev/null) || return 1
    { tr '\0' '\n' < "/proc/$pid/cmdline"; } 2>/dev/null | grep -qx -- "--machine=$NAME-$1" || return 1
    echo "$pid"
}

# The host's number of machine $1's own process 1.
leader() {
    local sup pid
    sup=$(supervisor "$1") || return 1
    for pid in $(cat "/proc/$sup/task/$sup/children" 2>/dev/null || pgrep -P "$sup"); do
        if [ "$(awk '$1 == "NSpid:" {print $NF}' "/proc/$pid/status" 2>/dev/null)" = 1 ]; then
            echo "$pid"
            return
        fi
    done
    return 1
}

any_running() {
    local m
    for m in $(known_machines); do
        supervisor "$m" >/dev/null && return 0
    done
    return 1
}

# ------------------------------------------------------------------ network --

netns_of() { echo "$NAME-$1"; }

address_of() {
    case $1 in
        server) echo 1 ;;
        client*) echo $((10 + ${1#client})) ;;
    esac
}

network_up() {
    local m ns n lan
    lan=$(netns_of lan)
    network_down
    ip netns add "$lan"
    ip -n "$lan" link set lo up
    ip -n "$lan" link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip -n "$lan" link set br0 up
    for m in $(machines); do
        ns=$(netns_of "$m")
        n=$(address_of "$m")
        ip netns add "$ns"
        # systemd does so when it boots a real machine, and cannot in a container.
        ip netns exec "$ns" sysctl -qw net.unix.max_dgram_qlen=512
        ip -n "$ns" link set lo up
        ip -n "$ns" link add eth0 address "$(printf '02:00:00:55:00:%02x' "$n")" \
            type veth peer name "p-$m" netns "$lan"
        ip -n "$lan" link set "p-$m" master br0 up
        ip -n "$ns" link set eth0 up
        ip -n "$ns" addr add "$TESTBED_NET4.$n/24" brd + dev eth0
        ip -n "$ns" addr add "$TESTBED_NET6$n/64" dev eth0 nodad
    done
}

network_down() {
    local ns
    for ns in $(ip netns list | awk -v n="$NAME-" 'index($1, n) == 1 {print $1}'); do
        ip netns delete "$ns"
    done
}

# ------------------------------------------------------------------ cgroups --

# systemd in the container wants a cgroup2 tree it may write to. When the
# host's process 1 is not systemd, nobody hands us one: a private mount of
# cgroup2 (seen only in our mount namespace, whatever the host has mounted on
# /sys/fs/cgroup) and a sub-directory in it are enough. The host's controllers
# may be in use by cgroup v1, so memory/cpu/pids limits may have no effect.
host_has_systemd() { [ -d /run/systemd/system ]; }

private_cgroup2() {
    # Only in a private mount namespace!
    umount -R /sys/fs/cgroup 2>/dev/null || :
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
}

rmdir_tree() {
    [ -d "$1" ] || return 0
    echo 1 > "$1/cgroup.kill"
    find "$1" -depth -type d -exec rmdir {} \;
    [ ! -d "$1" ]
}

# Also ends what is still in there: a container that lost its systemd-nspawn.
cgroup_remove() {
    if host_has_systemd; then
        systemctl --quiet stop "$NAME-$1.scope" 2>/dev/null || :
    else
        unshare --mount --propagation private "$SELF" __cgroup_remove "$1"
    fi
}

# ----------------------------------------------------------------- machines --

# Runs in its own mount namespace and turns into systemd-nspawn.
cmd___machine() {
    local m=$1 disk=$TESTBED_DIR/disk-$1
    local args=()
    echo $$ > "$RUN/$m.pid"
    mkdir -p "$disk/upper" "$disk/work" "$disk/root"
    mount -t overlay "$NAME-$m" -o "lowerdir=$BASE,upperdir=$disk/upper,workdir=$disk/work" "$disk/root"
    echo "$m" > "$disk/root/etc/hostname"
    printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s\n::1\tlocalhost ip6-localhost\n' "$m" > "$disk/root/etc/hosts"

    # systemd-nspawn leaves its run-time files behind when /run is a disk.
    mkdir -p /run/systemd/nspawn
    mount -t tmpfs -o mode=0755 tmpfs /run/systemd/nspawn

    if ! host_has_systemd; then
        private_cgroup2
        mkdir -p "/sys/fs/cgroup/$NAME-$m"
        echo $$ > "/sys/fs/cgroup/$NAME-$m/cgroup.procs"
        args+=(--keep-unit)
    fi
    # CAP_BPF and bpf(2): for IPAddressDeny=, DeviceAllow= and friends.
    # CAP_IPC_LOCK, CAP_SYSLOG etc. stay away, as in any container.
    args+=(
        --quiet --register=no --machine="$NAME-$m" --hostname="$m"
        --directory="$disk/root"
        --network-namespace-path="/run/netns/$(netns_of "$m")"
        --capability='CAP_NET_ADMIN,CAP_NET_RAW,CAP_BPF' --system-call-filter=bpf
        --bind="$SHARED:/shared"
        --resolv-conf=off --timezone=off --link-journal=no
        --suppress-sync=yes --console=read-only
    )
    case $m in
        server) exec systemd-nspawn "${args[@]}" --boot ;;
        *)      exec systemd-nspawn "${args[@]}" --as-pid2 /bin/sleep infinity ;;
    esac
}

start_machine() {
    setsid unshare --mount --propagation private "$SELF" __machine "$1" \
        > "$RUN/$1.log" 2>&1 < /dev/null 9>&- &
    disown
}

wait_for() {   # wait_for SECONDS COMMAND...
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $deadline ] || return 1
        sleep 0.1
    done
}

enter() {      # enter MACHINE CMD...: without a time limit
    local pid m=$1
    shift
    pid=$(leader "$m") || die "$m is not running ('$PROG boot' first)"
    nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup --root -- \
        /usr/bin/env -i -C / HOME=/root USER=root LOGNAME=root SHELL=/bin/bash \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 TERM="${TERM:-dumb}" SYSTEMD_PAGER=cat DEBIAN_FRONTEND=noninteractive \
        "$@"
}

server_is_up() {
    local state
    state=$(enter server systemctl is-system-running 2>/dev/null) || :
    case $state in running|degraded) ;; *) return 1 ;; esac
}

cmd_boot() {
    local m start state
    cmd_build
    lock
    if supervisor server >/dev/null && leader server >/dev/null; then
        say "already running"
    else
        any_running && stop_all
        start=$(date +%s%N)
        network_up
        for m in $(machines); do
            cgroup_remove "$m"
            start_machine "$m"
        done
        for m in $(machines); do
            wait_for 20 leader "$m" || { tail -n 20 "$RUN/$m.log" >&2; die "$m did not start"; }
        done
        wait_for "$TESTBED_BOOT_TIMEOUT" server_is_up ||
            { tail -n 40 "$RUN/server.log" >&2; die "the server did not reach multi-user"; }
        say "up in $(( ($(date +%s%N) - start) / 1000000 )) ms"
    fi
    state=$(enter server systemctl is-system-running) || :
    say "server $TESTBED_NET4.1 is $state$(enter server systemctl --failed --plain --no-legend | awk '{printf "%s %s", NR == 1 ? "; failed:" : "", $1}')"
}

stop_machine() {
    local m=$1 sup pid
    if sup=$(supervisor "$m"); then
        if pid=$(leader "$m"); then
            if [ "$m" = server ]; then
                kill -s RTMIN+3 "$pid" || :                  # systemd: power off
                wait_for "$TESTBED_STOP_TIMEOUT" not_running "$m" ||
                    say "$m did not power off in $TESTBED_STOP_TIMEOUT s, killing it"
            fi
            # The death of its process 1 ends every process of the container.
            ! supervisor "$m" >/dev/null || kill -KILL "$pid" 2>/dev/null || :
        fi
        wait_for 10 not_running "$m" || kill -KILL "$sup" 2>/dev/null || :
        wait_for 5 not_running "$m" || die "cannot stop $m (process $sup)"
    fi
    cgroup_remove "$m"
    rm -f "$RUN/$m.pid"
}

not_running() { ! supervisor "$1"; }

stop_all() {
    local m
    for m in $(known_machines); do stop_machine "$m"; done
    network_down
}

cmd_stop() {
    lock
    stop_all
    say "stopped"
}

cmd_reset() {
    lock
    stop_all
    wipe_disks
    say "stopped, disks pristine"
}

cmd_destroy() {
    lock
    stop_all
    if [ "${1-}" = --keep-cache ]; then
        wipe_disks
        rm -rf --one-file-system "$BASE" "$BASE.key" "$RUN" "$SHARED"
    else
        rm -rf --one-file-system "${TESTBED_DIR:?}"
    fi
    say "destroyed"
}

# ---------------------------------------------------------------- commands --

# With --foreground, timeout would only end its direct child and leave the
# command running in the container; a terminal, however, needs it.
bounded() {
    local opts=(--kill-after=5)
    [ ! -t 0 ] || opts+=(--foreground)
    timeout "${opts[@]}" "$TESTBED_EXEC_TIMEOUT" "$SELF" __enter "$@"
}

cmd_exec() {
    [ $# -gt 0 ] || die "exec: what?"
    bounded server "$@"
}

client_option() {
    CLIENT=client1 SHIFT=0
    if [ "${1-}" = -n ]; then
        case ${2-} in
            server) CLIENT=server ;;
            [1-9]|[1-9][0-9]) CLIENT=client$2 ;;
            *) die "-n: which client?" ;;
        esac
        SHIFT=2
    fi
}

cmd_netns_client() {
    client_option "$@"
    shift "$SHIFT"
    [ $# -gt 0 ] || die "netns-client: what?"
    bounded "$CLIENT" "$@"
}

cmd_netns_host() {
    client_option "$@"
    shift "$SHIFT"
    [ $# -gt 0 ] || die "netns-host: what?"
    nsenter --net="/run/netns/$(netns_of "$CLIENT")" -- "$@"
}

cmd_push() {
    local dest f
    [ $# -ge 2 ] || die "push: SRC... DIR"
    dest=${*: -1}
    enter server mkdir -p "$dest"
    for f in "${@:1:$#-1}"; do
        tar -C "$(dirname "$f")" --owner=root --group=root -cf - "$(basename "$f")" |
            enter server tar -C "$dest" --no-same-owner -xf -
    done
}

# apt-get of the host, but planning for the packages installed in the server;
# the first argument is the directory for (and with) downloaded packages.
apt_for_server() {
    local archives=$1
    shift
    apt-get -y --no-install-recommends \
        -o Dir::State::status="$RUN/dpkg-status" \
        -o Dir::State::extended_states=/dev/null \
        -o Dir::Cache::archives="$archives" \
        -o APT::Sandbox::User=root -o Debug::NoLocking=true \
        "$@"
}

cmd_install() {
    local arg want=() plan=() files=() f
    [ $# -gt 0 ] || die "install: what?"
    leader server >/dev/null || die "the server is not running"
    apt_update_if_stale
    enter server cat /var/lib/dpkg/status > "$RUN/dpkg-status"
    for arg in "$@"; do
        case $arg in
            *.deb) want+=("$(readlink -e "$arg")") || die "no such file: $arg" ;;
            *)     want+=("$arg") ;;
        esac
    done
    # The plan: a line "'URI' FILE SIZE HASH" for each package apt would fetch,
    # which is all of them with an empty archive directory.
    mkdir -p "$RUN/empty/partial"
    mapfile -t plan < <(apt_for_server "$RUN/empty" -qq --print-uris install "${want[@]}" |
        sed -n "s/^'[^']*' \([^ ]*\) .*/\1/p")
    apt_for_server "$CACHE/debs" -qq --download-only install "${want[@]}" >/dev/null
    enter server rm -rf /run/testbed-debs
    enter server mkdir -p /run/testbed-debs
    for f in "${plan[@]}"; do
        [ ! -e "$CACHE/debs/$f" ] || files+=("$CACHE/debs/$f")
    done
    for arg in "${want[@]}"; do
        case $arg in *.deb) files+=("$arg") ;; esac
    done
    if [ ${#files[@]} -eq 0 ]; then
        say "nothing to install"
        return
    fi
    cmd_push "${files[@]}" /run/testbed-debs
    bounded server sh -c 'cd /run/testbed-debs && apt-get -y --no-install-recommends --allow-downgrades \
        -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold install ./*.deb; s=$?; rm -rf /run/testbed-debs; exit $s'
}

# -------------------------------------------------------------------- main --

main() {
    local cmd=${1-help}
    [ $# -eq 0 ] || shift
    case $cmd in
        help|-h|--help) usage; return ;;
    esac
    init
    export TESTBED_DIR
    case $cmd in
        build|boot|exec|install|push|stop|reset|destroy) "cmd_$cmd" "$@" ;;
        netns-client) cmd_netns_client "$@" ;;
        netns-host)   cmd_netns_host "$@" ;;
        log)          cat "$RUN/server.log" ;;
        # internal
        __machine)    cmd___machine "$@" ;;
        __customize)  customize "$@" ;;
        __enter)      enter "$@" ;;
        __cgroup_remove)
            private_cgroup2
            # Dead processes may keep it busy for a moment.
            wait_for 5 rmdir_tree "/sys/fs/cgroup/$NAME-$1" || say "cannot remove cgroup $NAME-$1"
            ;;
        *) usage >&2; exit 2 ;;
    esac
}

main "$@"
