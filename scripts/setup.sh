#!/bin/sh
# Sets this checkout up: npm's packages, the Debian packages sand-boxer runs on, and the build. Safe to repeat; says what
# it installs, and does nothing (in well under a second) where everything is there. Give --test for what only the tests need.
set -eu
cd "$(dirname "$0")/.."

want_tests=no
[ "${1-}" = "--test" ] && want_tests=yes

dim="" plain=""
if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-}" != dumb ]; then dim=$(printf '\033[2m') plain=$(printf '\033[0m'); fi
say() { printf '%ssetup:%s %s\n' "$dim" "$plain" "$*"; }
fail() { printf 'setup: %s\n  next: %s\n' "$1" "$2" >&2; exit 1; }

log=$(mktemp)
child=""
trap 'rm -f "$log"' EXIT
trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 130' INT TERM

# The cause stands at the beginning of some logs and at the end of others.
show_log() {
  if [ "$(wc -l <"$log")" -le 40 ]; then cat "$log"; else head -n 15 "$log"; echo "[...]"; tail -n 20 "$log"; fi >&2
}

# doing WORDS -- COMMAND...: runs it quietly with a dot every two seconds, and shows what it said where it fails.
doing() {
  words=$1; shift 2
  printf '%ssetup:%s %s ' "$dim" "$plain" "$words"
  began=$(date +%s)
  "$@" >"$log" 2>&1 &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 0.2
    now=$(date +%s)
    if [ $(((now - began) % 2)) = 0 ] && [ "${dotted-}" != "$now" ]; then printf .; dotted=$now; fi
  done
  status=0
  wait "$child" || status=$?
  child=""
  printf ' %s s\n' "$(($(date +%s) - began))"
  [ "$status" = 0 ] || show_log
  return "$status"
}

# What each one is for stands in docs/install.md.
packages="crun runc tini busybox-static e2fsprogs mount iproute2 nftables perl-base util-linux python3 git tar"
[ "$want_tests" = yes ] && packages="$packages runsc procps curl openssl postgresql docker.io mmdebstrap openssh-server skopeo docker-registry"

missing=""
if command -v dpkg-query >/dev/null 2>&1; then
  # One look for all: a package that is not installed has no line, or one that does not say so.
  # shellcheck disable=SC2086
  installed=$(dpkg-query -W -f '${Package} ${Status}\n' $packages 2>/dev/null | sed -n 's/ install ok installed$//p' || true)
  for package in $packages; do
    printf '%s\n' "$installed" | grep -qx "$package" || missing="$missing $package"
  done
else
  for program in crun tini busybox mkfs.ext4 mount ip nft perl python3 git tar; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
  done
  [ -z "$missing" ] || fail "this is not Debian or Ubuntu, and these programs are missing:$missing" "install them with your system's package manager, then run this again"
fi

if [ -n "$missing" ]; then
  if [ "$(id -u)" = 0 ]; then as_root=""
  elif command -v sudo >/dev/null 2>&1; then as_root="sudo"; sudo -v
  else fail "these packages are missing and need root:$missing" "run as root: apt-get install$missing"
  fi
  known() { apt-cache show "$1" >/dev/null 2>&1; }
  all_known() { for p in $missing; do known "$p" || return 1; done; }
  all_known || doing "reading the package lists" -- $as_root apt-get update -qq || fail "apt-get update failed" "see the lines above; is there a network?"
  # An older Ubuntu has no runsc; everything but the gvisor level works without it.
  case "$missing " in *" runsc "*)
    known runsc || { say "there is no package runsc here: the gvisor level stays unavailable"; missing=$(printf '%s ' "$missing" | sed 's/ runsc / /; s/ $//'); } ;;
  esac
fi
if [ -n "$missing" ]; then
  # shellcheck disable=SC2086
  doing "installing Debian packages:$missing" -- $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing ||
    fail "apt-get install$missing failed" "see the lines above"
fi

stamp=node_modules/.sand-boxer-setup
lock=$(cksum package-lock.json package.json)
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$lock" ]; then
  doing "installing npm packages, and Node 24 as one of them (npm ci)" -- npm ci --no-audit --no-fund --loglevel=error ||
    fail "npm ci failed" "see the lines above"
  printf '%s' "$lock" >"$stamp"
fi

if [ ! -f dist/.built ] || [ -n "$(find src scripts/bundle.ts tsconfig.json tsconfig.build.json -newer dist/.built -type f 2>/dev/null | head -n 1)" ]; then
  rm -rf dist
  doing "building (tsc, rolldown)" -- npm run --silent build || fail "the build failed" "see the lines above"
  touch dist/.built
fi
