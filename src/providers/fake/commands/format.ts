const NAMED: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v", "\\": "\\" };

/** A byte as text in the form of contract/path. */
function byteText(byte: number): string {
  return String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte);
}

/** `\n`, `\ooo`, `\0ooo`, `\xhh` and the like as what they stand for. */
export function expandEscapes(text: string): string {
  return text.replace(
    /\\(?:0?([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|([\\a-z]))/g,
    (whole, octal: string | undefined, hex: string | undefined, letter: string | undefined) => {
      if (octal !== undefined) return byteText(Number.parseInt(octal, 8) & 255);
      if (hex !== undefined) return byteText(Number.parseInt(hex, 16));
      return NAMED[letter ?? ""] ?? whole;
    },
  );
}

/** printf's formatting with %s, %d, %b, %c, %o, %x and %%: the template is used again while arguments are left. */
export function format(template: string, args: readonly string[]): string {
  const left = [...args];
  let text = "";
  do {
    let consumed = false;
    text += template.replace(/\\(?:[0-7]{1,3}|.)|%(%|[-0-9.]*[sdbcox])/gs, (piece, directive: string | undefined) => {
      if (directive === undefined) return expandEscapes(piece);
      if (directive === "%") return "%";
      const argument = left.shift();
      consumed ||= argument !== undefined;
      return render(directive, argument ?? "");
    });
    if (!consumed) break;
  } while (left.length > 0);
  return text;
}

function render(directive: string, argument: string): string {
  const width = Number(/^0?(\d*)/.exec(directive)?.[1] ?? 0);
  const pad = directive.startsWith("0") ? "0" : " ";
  const value = (): string => {
    switch (directive.at(-1) ?? "s") {
      case "b":
        return expandEscapes(argument);
      case "c":
        return argument.slice(0, 1);
      case "o":
        return Number(argument).toString(8);
      case "x":
        return Number(argument).toString(16);
      case "d":
        return String(Math.trunc(Number(argument)));
      default:
        return argument;
    }
  };
  return value().padStart(width, pad);
}
