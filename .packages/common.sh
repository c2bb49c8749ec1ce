# What the scripts of this folder share. They run from anywhere, and write to target/packages.

cd "$(dirname "$0")/.."
root=$(pwd)
out=$root/target/packages
mkdir -p "$out"

# shellcheck disable=SC2034
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
# shellcheck disable=SC2034
machine=$(uname -m)

# So that the same commit gives the same bytes.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(stat -c %Y Cargo.toml)
fi
export SOURCE_DATE_EPOCH

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need PROGRAM PACKAGE …: programs, and the Debian packages that have them.
need() {
    missing=
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
        shift 2
    done
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing:$missing (the names of Debian's packages): install them and try again" >&2
        exit 1
    fi
    as_root apt-get update -q >&2
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -q -y --no-install-recommends $missing >&2
}

# papers BINARY FOLDER: its manual pages into FOLDER/man, its completions into FOLDER/completions.
papers() {
    mkdir -p "$2/man" "$2/completions"
    "$1" man >"$2/man/hopscope.1"
    for command in $("$1" man | sed -n 's/^hopscope\\-\([a-z]*\)(1)$/\1/p'); do
        "$1" man "$command" >"$2/man/hopscope-$command.1"
    done
    "$1" completions bash >"$2/completions/hopscope"
    "$1" completions zsh >"$2/completions/_hopscope"
    "$1" completions fish >"$2/completions/hopscope.fish"
}

# pack FOLDER FILE.tar.gz: with the same bytes each time.
pack() {
    tar -C "$(dirname "$1")" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
        -cf - "$(basename "$1")" | gzip -9n >"$2"
}
