# shellcheck shell=bash
# Sets a checkout up: system packages, .venv, pinned Python packages. Sourced by scripts/run and scripts/test.
#
# Usage:  ROOT=...; . "$ROOT/scripts/setup.sh"; set_up run|test
# Leaves $VENV_PYTHON ready. Silent and quick when nothing has changed since the last time. Messages to stderr.

RUN_PACKAGES=(libegl1 libegl-mesa0 libgl1 libgl1-mesa-dri libglx-mesa0
    libx11-6 libxrandr2 libxcursor1 libxinerama1 libxi6 libxkbcommon0)
TEST_PACKAGES=(xvfb x11-xserver-utils xdotool weston liblo-tools ffmpeg chromium fonts-dejavu-core)

say() { printf '%s\n' "pedesis: $*" >&2; }

fits() { # is "$1" a Python that torch is made for?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in ${PEDESIS_PYTHON:+"$PEDESIS_PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
        if fits "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    say "needs Python 3.11 to 3.14, found $(python3 --version 2>/dev/null || echo none). Install one:"
    say "  Debian, Ubuntu: sudo apt-get install python3.11 python3.11-venv    Fedora: sudo dnf install python3.13"
    say "  Arch: sudo pacman -S python    macOS: brew install python@3.13"
    say "or name one: PEDESIS_PYTHON=/path/to/python3.12 $0"
    return 1
}

as_root() { # run a command as root if that needs no password
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    [ -z "${PEDESIS_NO_APT:-}" ] || return 1
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; }
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >&2
}

debian_packages() { # install what is missing of "$@", or say how
    local name missing=()
    for name in "$@"; do
        # shellcheck disable=SC2016  # dpkg-query's own placeholder
        case "$(dpkg-query -W -f='${db:Status-Abbrev}' "$name" 2>/dev/null)" in
            ii*) ;;
            *) missing+=("$name") ;;
        esac
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if may_install; then
        say "installing system packages: ${missing[*]}"
        apt_install "${missing[@]}" && return 0
        as_root apt-get update >&2 && apt_install "${missing[@]}" && return 0
    fi
    say "some system packages are missing; going on without. To install them:"
    say "  sudo apt-get install ${missing[*]}"
    return 1
}

other_packages() { # not Debian: look for what is needed, say how to get it
    local kind=$1 missing=() program
    if [ "$(uname)" = Linux ] && command -v ldconfig >/dev/null 2>&1; then
        ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1' || missing+=(libEGL)
    fi
    if [ "$kind" = test ]; then
        for program in ffprobe oscsend; do
            command -v "$program" >/dev/null 2>&1 || missing+=("$program")
        done
    fi
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "missing on this system: ${missing[*]}; going on without. To install:"
    say "  Fedora: sudo dnf install mesa-libEGL mesa-libGL mesa-dri-drivers xorg-x11-server-Xvfb xrandr xdotool weston liblo ffmpeg-free chromium"
    say "  Arch: sudo pacman -S mesa libglvnd xorg-server-xvfb xorg-xrandr xdotool weston liblo ffmpeg chromium    macOS: brew install ffmpeg liblo"
    return 1
}

system_packages() {
    local wanted=("${RUN_PACKAGES[@]}")
    if [ "$1" = test ]; then wanted+=("${TEST_PACKAGES[@]}"); fi
    if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
        debian_packages "${wanted[@]}"
    else
        other_packages "$1"
    fi
}

make_venv() { # with the Python "$1"
    say "making $VENV with $("$1" --version)"
    rm -rf -- "$VENV"
    if "$1" -m venv "$VENV" >&2; then return 0; fi
    rm -rf -- "$VENV"
    local name
    name="python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    # Debian's Python comes without ensurepip.
    if command -v apt-get >/dev/null 2>&1 && debian_packages "$name" && "$1" -m venv "$VENV" >&2; then return 0; fi
    rm -rf -- "$VENV"
    say "$1 cannot make virtual environments. On Debian and Ubuntu: sudo apt-get install $name"
    return 1
}

pip_install() {
    # --progress-bar on: torch is large, and a still line looks like a hang.
    env -u PYTHONPATH -u PYTHONHOME PIP_USER=0 "$VENV_PYTHON" -m pip install --disable-pip-version-check \
        --progress-bar on -c "$ROOT/scripts/constraints.txt" "$@" >&2
}

python_packages() { # "$1" is run or test
    local python extras=""
    if [ "$1" = test ]; then extras="[test]"; fi
    # Left behind only by an install that was killed, and pip cannot see which of its packages are whole.
    if [ -e "$VENV/.pedesis-installing" ]; then
        say "the last set-up was interrupted; starting it afresh"
        rm -rf -- "$VENV"
    fi
    if ! fits "$VENV_PYTHON" || ! "$VENV_PYTHON" -m pip --version >/dev/null 2>&1 || [ "$(moved)" = yes ]; then
        python=$(find_python) || return 1
        make_venv "$python" || return 1
    fi
    rm -f -- "$VENV"/.pedesis-ready-*
    : >"$VENV/.pedesis-installing"
    say "installing Python packages into $VENV (the first time: some minutes, torch is large)"
    # The build tools first and from the same pinned list: pip's isolated builds would ignore it.
    if (cd "$ROOT" && pip_install hatchling editables && pip_install --no-build-isolation -e ".$extras"); then
        rm -f -- "$VENV/.pedesis-installing"
        return 0
    fi
    rm -f -- "$VENV/.pedesis-installing"
    say "pip could not install everything (see above); once that is cured, type the same command again"
    return 1
}

moved() { # was this .venv made in another folder? Its scripts would start the other one's Python.
    local made
    made=$(sed -n '1s/^#!//p' "$VENV/bin/pip" 2>/dev/null)
    case "$made" in
        "$VENV"/* | */sh | "") echo no ;; # pip writes /bin/sh where the path has spaces or is long
        *) echo yes ;;
    esac
}

fingerprint() { # changes when the set-up would
    { cat "$ROOT/pyproject.toml" "$ROOT/scripts/constraints.txt" "$ROOT/scripts/setup.sh"
      printf '%s\n' "$ROOT"; "$VENV_PYTHON" -V 2>&1; } | cksum
}

ready() { # is everything for "$1" in place? What tests need holds what running needs.
    local kind now
    [ ! -e "$VENV/.pedesis-installing" ] || return 1
    now=$(fingerprint) || return 1
    for kind in "$1" test; do
        if [ -f "$VENV/.pedesis-ready-$kind" ] && [ "$(cat "$VENV/.pedesis-ready-$kind")" = "$now" ]; then return 0; fi
    done
    return 1
}

set_up() { # run|test
    ROOT=${ROOT/#\/\//\/} # bash keeps the doubled slash of //home, and the same folder would count as another
    VENV="$ROOT/.venv"
    VENV_PYTHON="$VENV/bin/python"
    if ready "$1"; then return 0; fi
    # Two at once would write into one .venv. The folder itself is the lock; macOS has no flock and goes without.
    exec 9<"$ROOT"
    if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
        say "another set-up of this checkout is under way; waiting for it"
        flock 9
    fi
    if ! ready "$1"; then
        # A package that is missing and may not be installed stops some tests or the window, not the rest.
        system_packages "$1" || true
        python_packages "$1" || { exec 9<&-; return 1; }
        fingerprint >"$VENV/.pedesis-ready-$1"
    fi
    exec 9<&-
}
