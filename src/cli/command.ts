/** An option of a command. */
export interface Option {
  readonly type: "string" | "boolean";
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for its value in the help text ("SECONDS"). */
  readonly value?: string;
  readonly about: string;
  /** What its values are, for completion. */
  readonly complete?: Live;
}

/** What is asked of the engine when a command line is completed. */
export type Live = "sandbox" | "profile" | "secret" | "webhook" | "event" | "image" | "snapshot";

/** One command of the CLI; each stands in its own file below commands/. */
export interface Command {
  /** After the program's name. */
  readonly usage: string;
  readonly about: string;
  readonly options: Readonly<Record<string, Option>>;
  /** What the positional arguments are, for completion: one entry each, the last repeats. By the first of them where that decides. */
  readonly positionals?: readonly (Live | "path" | readonly string[] | (Readonly<Record<string, Live>> & { readonly otherwise: Live }))[];
  /** This many positional arguments, and all that follows is a command line to run inside. */
  readonly trailing?: number;
  readonly examples: readonly (readonly [command: string, what: string])[];
  /** Resolves with the exit code. */
  run(args: Arguments): Promise<number>;
}

/** A parsed command line. */
export interface Arguments {
  readonly positionals: readonly string[];
  /** What came after `--`, or after the positional arguments where the command takes a command line. */
  readonly trailing: readonly string[];
  readonly json: boolean;
  flag(name: string): boolean;
  text(name: string): string | undefined;
  all(name: string): readonly string[];
}

/** What every command takes. */
export const COMMON_OPTIONS: Readonly<Record<string, Option>> = {
  json: { type: "boolean", about: "Print JSON: one document, or a line for each event" },
  help: { type: "boolean", short: "h", about: "Show this help" },
};
