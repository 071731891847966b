import { lex } from "./lex.ts";
import type { Token } from "./lex.ts";
import { SyntaxProblem } from "./syntax.ts";
import type { CommandNode, Pipeline, Redirect, Script, Statement, Word } from "./syntax.ts";

const UNKNOWN_WORDS = new Set(["if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "function"]);
const REDIRECT_KINDS: Readonly<Record<string, Redirect["kind"]>> = {
  ">": "write",
  ">>": "append",
  "<": "read",
  ">&": "duplicate",
  "<&": "duplicate",
};

/**
 * Reads a command line: `;` `&` `&&` `||` `|` `!` groups, subshells, assignments, redirections, quotes, variables and
 * `$( )`. Loops, conditions, functions, here-documents and globs are not known and refused, not guessed at. Throws
 * {@link SyntaxProblem}.
 */
export function parse(source: string): Script {
  const parser = new Parser(lex(source));
  const script = parser.script();
  parser.expectEnd();
  return script;
}

class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  expectEnd(): void {
    const token = this.#tokens[this.#at];
    if (token !== undefined) throw new SyntaxProblem(`syntax error near "${token.kind === "word" ? "word" : token.text}"`);
  }

  script(): Script {
    const statements: Statement[] = [];
    for (;;) {
      while (this.#accept("\n", ";") !== undefined);
      if (this.#at >= this.#tokens.length || this.#peek(")") || this.#peekWord("}")) return statements;
      const first = this.#pipeline();
      const rest: { when: "&&" | "||"; pipeline: Pipeline }[] = [];
      for (let when = this.#accept("&&", "||"); when !== undefined; when = this.#accept("&&", "||")) {
        while (this.#accept("\n") !== undefined);
        rest.push({ when: when === "&&" ? "&&" : "||", pipeline: this.#pipeline() });
      }
      const end = this.#accept("&", ";", "\n");
      statements.push({ first, rest, background: end === "&" });
      if (end === undefined) return statements;
    }
  }

  #pipeline(): Pipeline {
    let negated = false;
    while (this.#peekWord("!")) {
      this.#at++;
      negated = !negated;
    }
    const commands = [this.#command()];
    while (this.#accept("|") !== undefined) {
      while (this.#accept("\n") !== undefined);
      commands.push(this.#command());
    }
    return { negated, commands };
  }

  #command(): CommandNode {
    if (this.#accept("(") !== undefined) {
      const body = this.script();
      if (this.#accept(")") === undefined) throw new SyntaxProblem('syntax error: ")" is missing');
      return { kind: "group", subshell: true, body, redirects: this.#redirects() };
    }
    if (this.#peekWord("{")) {
      this.#at++;
      const body = this.script();
      if (!this.#peekWord("}")) throw new SyntaxProblem('syntax error: "}" is missing');
      this.#at++;
      return { kind: "group", subshell: false, body, redirects: this.#redirects() };
    }
    return this.#simple();
  }

  #simple(): CommandNode {
    const assignments: { name: string; value: Word }[] = [];
    const words: Word[] = [];
    const redirects: Redirect[] = [];
    for (;;) {
      redirects.push(...this.#redirects());
      const token = this.#tokens[this.#at];
      if (token?.kind !== "word") break;
      this.#at++;
      const assignment = words.length === 0 ? assignmentOf(token.word) : undefined;
      if (assignment !== undefined) assignments.push(assignment);
      else words.push(token.word);
    }
    const token = this.#tokens[this.#at];
    if (words.length + assignments.length + redirects.length === 0)
      throw new SyntaxProblem(`syntax error near "${token === undefined || token.kind === "word" ? "end" : token.text}"`);
    const first = literal(words[0]);
    if (first !== undefined && UNKNOWN_WORDS.has(first))
      throw new SyntaxProblem(`"${first}" is not known to this shell: the fake backend reads no loops, conditions or functions`);
    return { kind: "simple", assignments, words, redirects };
  }

  #redirects(): Redirect[] {
    const redirects: Redirect[] = [];
    for (let token = this.#tokens[this.#at]; token?.kind === "redirect"; token = this.#tokens[this.#at]) {
      const target = this.#tokens[this.#at + 1];
      if (target?.kind !== "word") throw new SyntaxProblem("syntax error: a redirection leads nowhere");
      const kind = REDIRECT_KINDS[token.text] ?? "write";
      redirects.push({ fd: token.fd ?? (token.text.startsWith("<") ? 0 : 1), kind, target: target.word });
      this.#at += 2;
    }
    return redirects;
  }

  #accept(...operators: string[]): string | undefined {
    const token = this.#tokens[this.#at];
    if (token?.kind !== "operator" || !operators.includes(token.text)) return undefined;
    this.#at++;
    return token.text;
  }

  #peek(operator: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === "operator" && token.text === operator;
  }

  #peekWord(text: string): boolean {
    const token = this.#tokens[this.#at];
    return token?.kind === "word" && literal(token.word) === text;
  }
}

/** The word's text where it is one unquoted piece. */
function literal(word: Word | undefined): string | undefined {
  const [part, more] = word ?? [];
  return part?.kind === "text" && !part.quoted && more === undefined ? part.text : undefined;
}

function assignmentOf(word: Word): { name: string; value: Word } | undefined {
  const [first, ...rest] = word;
  if (first?.kind !== "text" || first.quoted) return undefined;
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(first.text);
  if (match === null) return undefined;
  return { name: match[1] ?? "", value: [{ kind: "text", text: match[2] ?? "", quoted: false }, ...rest] };
}
