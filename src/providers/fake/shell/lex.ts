import { SyntaxProblem } from "./syntax.ts";
import type { Part, Word } from "./syntax.ts";

export type Token =
  | { readonly kind: "word"; readonly word: Word }
  | { readonly kind: "operator"; readonly text: string }
  /** A redirection operator with the descriptor that stood before it. */
  | { readonly kind: "redirect"; readonly text: string; readonly fd: number | undefined };

const OPERATORS = ["&&", "||", ";", "&", "|", "(", ")", "\n"];

/** Splits a command line into words and operators. Throws {@link SyntaxProblem}. */
export function lex(source: string): Token[] {
  const tokens: Token[] = [];
  const reader = new Reader(source);
  while (!reader.done) {
    if (reader.skip(/[ \t]+|\\\n/y) || reader.skip(/#[^\n]*/y)) continue;
    const redirect = reader.take(/(\d*)(>>|>&|<&|>|<)/y);
    if (redirect !== undefined) {
      const [, fd = "", text = ""] = redirect;
      if (reader.skip(/</y)) throw new SyntaxProblem("here-documents are not known to this shell");
      tokens.push({ kind: "redirect", text, fd: fd === "" ? undefined : Number(fd) });
      continue;
    }
    const operator = OPERATORS.find((text) => reader.startsWith(text));
    if (operator !== undefined) {
      reader.at += operator.length;
      tokens.push({ kind: "operator", text: operator });
      continue;
    }
    tokens.push({ kind: "word", word: readWord(reader) });
  }
  return tokens;
}

class Reader {
  readonly source: string;
  at = 0;

  constructor(source: string) {
    this.source = source;
  }

  get done(): boolean {
    return this.at >= this.source.length;
  }

  get next(): string {
    return this.source[this.at] ?? "";
  }

  startsWith(text: string): boolean {
    return this.source.startsWith(text, this.at);
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const match = pattern.exec(this.source);
    if (match === null) return undefined;
    this.at += match[0].length;
    return match;
  }

  skip(pattern: RegExp): boolean {
    return this.take(pattern) !== undefined;
  }
}

function readWord(reader: Reader): Word {
  const parts: Part[] = [];
  while (!reader.done && !/[ \t\n;&|()<>]/.test(reader.next)) {
    const next = reader.next;
    if (next === "'") {
      const match = reader.take(/'([^']*)'/y);
      if (match === undefined) throw new SyntaxProblem("unterminated quoted string");
      parts.push({ kind: "text", text: match[1] ?? "", quoted: true });
    } else if (next === '"') {
      reader.at++;
      parts.push(...readDoubleQuoted(reader));
    } else if (next === "\\") {
      parts.push({ kind: "text", text: reader.source[reader.at + 1] ?? "\\", quoted: true });
      reader.at += 2;
    } else if (next === "$") {
      parts.push(readDollar(reader, false));
    } else if (next === "`") {
      throw new SyntaxProblem("backquotes are not known to this shell: use $( )");
    } else {
      parts.push({ kind: "text", text: reader.take(/[^ \t\n;&|()<>'"\\$`]+/y)?.[0] ?? "", quoted: false });
    }
  }
  return parts;
}

function readDoubleQuoted(reader: Reader): Part[] {
  const parts: Part[] = [{ kind: "text", text: "", quoted: true }];
  for (;;) {
    if (reader.done) throw new SyntaxProblem("unterminated quoted string");
    if (reader.skip(/"/y)) return parts;
    if (reader.next === "$") {
      parts.push(readDollar(reader, true));
      continue;
    }
    const escaped = reader.take(/\\(["$`\\])|\\\n/y);
    const text = escaped === undefined ? (reader.take(/\\|[^"\\$]+/y)?.[0] ?? "") : (escaped[1] ?? "");
    parts.push({ kind: "text", text, quoted: true });
  }
}

function readDollar(reader: Reader, quoted: boolean): Part {
  if (reader.startsWith("$((")) throw new SyntaxProblem("arithmetic is not known to this shell");
  if (reader.skip(/\$\(/y)) {
    const start = reader.at;
    const end = closingParenthesis(reader.source, start);
    reader.at = end + 1;
    return { kind: "substitution", source: reader.source.slice(start, end), quoted };
  }
  const braced = reader.take(/\$\{([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[?$!#@*])(?::?-([^}]*))?\}/y);
  if (braced !== undefined) return { kind: "variable", name: braced[1] ?? "", fallback: braced[2], quoted };
  if (reader.startsWith("${")) throw new SyntaxProblem("bad substitution");
  const plain = reader.take(/\$([A-Za-z_][A-Za-z0-9_]*|[0-9?$!#@*])/y);
  if (plain !== undefined) return { kind: "variable", name: plain[1] ?? "", fallback: undefined, quoted };
  reader.at++;
  return { kind: "text", text: "$", quoted };
}

function closingParenthesis(source: string, from: number): number {
  let depth = 1;
  let quote = "";
  for (let i = from; i < source.length; i++) {
    const character = source[i] ?? "";
    if (character === "\\" && quote !== "'") i++;
    else if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === "'" || character === '"') quote = character;
    else if (character === "(") depth++;
    else if (character === ")" && --depth === 0) return i;
  }
  throw new SyntaxProblem("unterminated $(");
}
