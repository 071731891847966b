import { pathToBytes } from "../../contract/index.ts";

/**
 * A path as an argument that only has printable ASCII: other bytes, quotes, `$` and backslashes stand as `\0ooo`, which
 * `dec` of {@link PRELUDE} turns back inside the sandbox. So any name travels through argv, which must be UTF-8, and
 * nothing in a name is ever read as shell text.
 */
export function encodePath(path: string): string {
  let text = "";
  for (const byte of pathToBytes(path)) {
    const character = String.fromCharCode(byte);
    text += /[A-Za-z0-9/._-]/.test(character) ? character : `\\0${byte.toString(8).padStart(3, "0")}`;
  }
  return text;
}

/** An absolute path for the tools inside: never starts with a dash, never ends with a slash. `..` is left to the kernel. */
export function absolutePath(path: string, workdir: string): string {
  const joined = path.startsWith("/") ? path : `${workdir}/${path}`;
  return `/${joined.split("/").filter((name) => name !== "" && name !== ".").join("/")}`; // prettier-ignore
}

/** Exit statuses of the scripts where they themselves saw what is wrong. */
export const STATUS = {
  missing: 40,
  denied: 41,
  directory: 42,
  special: 43,
  exists: 44,
  notDirectory: 45,
  incomplete: 46,
  notEmpty: 47,
} as const;

/** One line of `stat -c`: type and mode in hex, size, uid, gid, modification time, inode. No names, so nothing in it can lie. */
export const FIELDS = "%f %s %u %g %i %y";

/**
 * What every script starts with. `$B` is the trusted tool box, or empty where the image's own tools are used, and stays
 * unquoted for that. `dec` leaves the decoded path in `v`; the `_` keeps newlines at a name's end from being stripped.
 */
export const PRELUDE = `export LC_ALL=C TZ=UTC0; umask 022; B=$1; shift
dec() { case $1 in *\\\\*) v=$(printf '%b_' "$1"); v=\${v%_};; *) v=$1;; esac; }
dec "$1"; shift
`;

const SPECIAL = `[ -d "$v" ] && exit ${STATUS.directory}; [ -e "$v" ] && [ ! -f "$v" ] && exit ${STATUS.special}`;

/** Writes go through a symlink to where it leads. */
const FOLLOW = `if [ -L "$v" ]; then l=$($B readlink -f "$v"; echo _); [ "$l" = _ ] && exit ${STATUS.special}; v=\${l%?_}; fi`;

/** Leaves with what the kernel says of a path that is not there or out of reach. */
const EXPLAIN = `{ $B stat -L "$v" >/dev/null && exit ${STATUS.missing}; exit 1; }`;

/** The scripts, each one exec. Their words: the path first, then what the comment says. */
export const SCRIPTS = {
  stat: `exec $B stat -c '${FIELDS}%n%N' "$v"`,
  /** stamp, depth. One record an entry; a vanished one has none. */
  list: `[ -e "$v" ] || ${EXPLAIN}
[ -d "$v" ] || exit ${STATUS.notDirectory}
[ -r "$v" ] && [ -x "$v" ] || exit ${STATUS.denied}
$B find -H "$v" -mindepth 1 -maxdepth "$2" -exec $B stat -c "$1${FIELDS}$1%n$1%N" {} + 2>/dev/null; exit 0`,
  /** offset, length or "". A header of fields first, then the bytes. */
  read: `${SPECIAL}
exec 3<"$v" || exit 1
$B stat -L -c '${FIELDS}' /proc/self/fd/3 || exit 1
if [ -n "$2" ]; then exec $B dd bs=128k iflag=skip_bytes,count_bytes status=none skip="$1" count="$2" <&3
elif [ "$1" != 0 ]; then exec $B dd bs=128k iflag=skip_bytes status=none skip="$1" <&3
else exec $B cat <&3; fi`,
  /**
   * name of the temporary file, mark, mode or "". The bytes come with the mark behind them: an upload cut short, even by
   * the death of who sends it, has none and is thrown away.
   */
  write: `${FOLLOW}
${SPECIAL}
d=\${v%/*}; d=\${d:-/}; m=$3
[ -d "$d" ] || $B mkdir -p "$d" || exit 1
if [ -e "$v" ]; then [ -w "$v" ] || exit ${STATUS.denied}; [ -n "$m" ] || m=$($B stat -c %a "$v"); fi
t=$d/$1; trap '$B rm -f "$t"' EXIT
$B cat >"$t" || exit 1
[ "$($B tail -c \${#2} "$t" | $B tr -d '\\0')" = "$2" ] || exit ${STATUS.incomplete}
s=$($B stat -c %s "$t") && $B truncate -s $((s-\${#2})) "$t" || exit 1
[ -z "$m" ] || $B chmod "$m" "$t" || exit 1
$B mv -f -T "$t" "$v" || exit 1
exec $B stat -c '${FIELDS}' "$v"`,
  /** name of the temporary file: what a killed write left. */
  discard: `${FOLLOW}
d=\${v%/*}; exec $B rm -f "\${d:-/}/$1"`,
  /** "-p" or "", mode or "". */
  mkdir: `[ -n "$1" ] && [ -d "$v" ] && exit 0
exec $B mkdir $1 \${2:+-m "$2"} "$v"`,
  /** the other path, "replace" or "". Not replacing is atomic: link(2) and mkdir(2) fail where something stands. */
  rename: `from=$v; dec "$1"; to=$v
[ -e "$from" ] || [ -L "$from" ] || { v=$from; ${EXPLAIN}; }
if [ -n "$2" ]; then
  if [ -d "$to" ] && [ ! -L "$to" ]; then
    [ -d "$from" ] && [ ! -L "$from" ] || exit ${STATUS.directory}
    [ "$from" -ef "$to" ] && exit 0
    $B rmdir "$to" || exit 1
  elif [ -d "$from" ] && [ ! -L "$from" ] && [ -e "$to" ]; then exit ${STATUS.notDirectory}; fi
  exec $B mv -f -T "$from" "$to"
fi
{ [ -e "$to" ] || [ -L "$to" ]; } && exit ${STATUS.exists}
if [ -d "$from" ] && [ ! -L "$from" ]; then
  case $to/ in "$from"/*) exit ${STATUS.exists};; esac
  $B mkdir "$to" && exec $B mv -T "$from" "$to"
elif $B ln -T "$from" "$to" 2>/dev/null; then exec $B rm -f "$from"
else exec $B mv -n -T "$from" "$to"; fi`,
  /** "recursive" or "". */
  remove: `[ -e "$v" ] || [ -L "$v" ] || ${EXPLAIN}
if [ ! -d "$v" ] || [ -L "$v" ]; then exec $B rm -f "$v"; fi
[ -n "$1" ] || exec $B rmdir "$v"
$B rm -rf "$v" 2>/dev/null; [ -e "$v" ] || exit 0
# Deeper than PATH_MAX: lift what lies at a depth up to the top, and remove again.
n=0; for k in 1000 200 14; do while [ -e "$v" ] && [ $n -lt 2000 ]; do n=$((n+1))
  lifted=$(cd "$v" && $B find . -mindepth $k -maxdepth $k -type d -exec $B sh -c 'p=$1; shift; for d; do mv "$d" "./.lift-$p-\${d##*/}" && echo y; done' sh $n {} + 2>/dev/null | $B head -n 1)
  $B rm -rf "$v" 2>/dev/null; [ -n "$lifted" ] || break
done; done
[ -e "$v" ] || exit 0; exec $B rm -rf "$v"`,
  /** mode. */
  chmod: `exec $B chmod "$1" "$v"`,
  exportTree: `[ -d "$v" ] && exec $B tar -c -f - -C "$v" .
[ -e "$v" ] || [ -L "$v" ] || ${EXPLAIN}
d=\${v%/*}; exec $B tar -c -f - -C "\${d:-/}" "./\${v##*/}"`,
  importTree: `[ -d "$v" ] || $B mkdir -p "$v" || exit 1
exec $B tar -x -f - -C "$v"`,
  /** stamp, depth. A scan for every line it reads; ends when nobody asks any more. */
  watch: `[ -e "$v" ] || ${EXPLAIN}
while read -r _; do
  $B find -H "$v" -maxdepth "$2" -exec $B stat -c "$1${FIELDS} %z$1%n" {} + 2>/dev/null
  printf '%s' "$1$1"
done`,
} as const;
