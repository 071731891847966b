#!/bin/sh
# Sets this checkout up: npm's packages, the Debian packages sand-boxer runs on, and the build. Safe to repeat; says what
# it installs, and does nothing (in well under a second) where everything is there. Give --test for what only the tests need.
set -eu
cd "$(dirname "$0")/.."

want_tests=no
[ "${1-}" = "--test" ] && want_tests=yes

say() { printf '\033[2msetup:\033[0m %s\n' "$*"; }
fail() { printf 'setup: %s\n  next: %s\n' "$1" "$2" >&2; exit 1; }

# What each one is for stands in docs/install.md.
packages="crun tini busybox-static xfsprogs python3-minimal git"
[ "$want_tests" = yes ] && packages="$packages runc runsc procps tar"

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
  for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
else
  for program in crun tini busybox mkfs.xfs python3 git; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
  done
  [ -z "$missing" ] || fail "this is not Debian or Ubuntu, and these programs are missing:$missing" "install them with your system's package manager, then run this again"
fi

if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then as_root=""
  elif command -v sudo >/dev/null 2>&1; then as_root="sudo"
  else fail "these packages are missing and need root:$missing" "run as root: apt-get install$missing"
  fi
  say "installing Debian packages:$missing"
  log=$(mktemp)
  available() { for p in $missing; do apt-cache show "$p" >/dev/null 2>&1 || return 1; done; }
  available || $as_root apt-get update -qq >"$log" 2>&1 || { cat "$log" >&2; fail "apt-get update failed" "see the lines above; is there a network?"; }
  for p in $missing; do
    # An older Ubuntu has no runsc; everything but the gvisor level works without it.
    if [ "$p" = runsc ] && ! apt-cache show runsc >/dev/null 2>&1; then say "no package runsc here: the gvisor level stays unavailable"; missing=$(printf '%s' "$missing" | sed 's/ runsc//'); fi
  done
  # shellcheck disable=SC2086
  DEBIAN_FRONTEND=noninteractive $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; rm -f "$log"; fail "apt-get install$missing failed" "see the lines above"; }
  rm -f "$log"
fi

stamp=node_modules/.sand-boxer-setup
lock=$(cksum package-lock.json package.json 2>/dev/null)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$lock" ]; then
  say "installing npm packages (npm ci)"
  log=$(mktemp)
  npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1 || { cat "$log" >&2; rm -f "$log"; fail "npm ci failed" "see the lines above"; }
  rm -f "$log"
  printf '%s' "$lock" >"$stamp"
fi

if [ ! -f dist/.built ] || [ -n "$(find src tsconfig.json tsconfig.build.json -newer dist/.built -type f 2>/dev/null | head -n 1)" ]; then
  say "building (tsc)"
  rm -rf dist
  node_modules/.bin/tsc -p tsconfig.build.json
  touch dist/.built
fi
