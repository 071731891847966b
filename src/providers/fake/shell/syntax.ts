/** A piece of a word. `quoted` pieces are not split into fields. */
export type Part =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "variable"; readonly name: string; readonly fallback: string | undefined; readonly quoted: boolean }
  | { readonly kind: "substitution"; readonly source: string; readonly quoted: boolean };

export type Word = readonly Part[];

/** `fd` is redirected: to or from a file, or to where another descriptor goes. */
export interface Redirect {
  readonly fd: number;
  readonly kind: "read" | "write" | "append" | "duplicate";
  readonly target: Word;
}

export type CommandNode =
  | {
      readonly kind: "simple";
      readonly assignments: readonly { readonly name: string; readonly value: Word }[];
      readonly words: readonly Word[];
      readonly redirects: readonly Redirect[];
    }
  | { readonly kind: "group"; readonly subshell: boolean; readonly body: Script; readonly redirects: readonly Redirect[] };

export interface Pipeline {
  readonly negated: boolean;
  readonly commands: readonly CommandNode[];
}

/** Pipelines joined by `&&` and `||`. */
export interface Statement {
  readonly first: Pipeline;
  readonly rest: readonly { readonly when: "&&" | "||"; readonly pipeline: Pipeline }[];
  readonly background: boolean;
}

export type Script = readonly Statement[];

/** A command line that the interpreter does not read; as with a real shell the status is then 2. */
export class SyntaxProblem extends Error {}
