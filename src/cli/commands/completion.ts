import { nearest } from "../../contract/nearest.ts";
import type { Command } from "../command.ts";
import { usageError } from "../failure.ts";
import { expect } from "../parse.ts";
import { json, line } from "../print.ts";

// The scripts hold no list of their own: they ask the program, which knows its commands, and the live sandboxes.
const SCRIPTS = {
  bash: `_sand_boxer() {
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" __complete "\${words[@]}" 2>/dev/null)
  if [ "\${#COMPREPLY[@]}" -eq 0 ]; then compopt -o default; fi
}
complete -F _sand_boxer sand-boxer`,
  zsh: `#compdef sand-boxer
_sand_boxer() {
  local -a candidates
  candidates=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${candidates[1]}" ]]; then compadd -a candidates; else _files; fi
}
if [[ "\${funcstack[1]}" == _sand_boxer ]]; then _sand_boxer "$@"; else compdef _sand_boxer sand-boxer; fi`,
  fish: `function __sand_boxer_complete
  set -l words (commandline -opc) (commandline -ct)
  $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c sand-boxer -a '(__sand_boxer_complete)'`,
} as const;

const SHELLS = Object.keys(SCRIPTS) as (keyof typeof SCRIPTS)[];

export const command: Command = {
  usage: "completion bash|zsh|fish",
  about: `Prints a script that makes the shell complete commands, options, live sandbox ids and profiles.`,
  options: {},
  positionals: [SHELLS],
  examples: [
    ["source <(sand-boxer completion bash)", "for this shell; put the line into ~/.bashrc to keep it"],
    ["completion fish > ~/.config/fish/completions/sand-boxer.fish", "for fish"],
  ],
  async run(args) {
    const [shell = ""] = expect("completion", args, "SHELL");
    const known = SHELLS.find((one) => one === shell);
    if (known === undefined) throw usageError("completion", `unknown shell "${shell}"; nearest: "${nearest(shell, SHELLS) ?? "bash"}"`);
    await (args.json ? json({ shell: known, script: SCRIPTS[known] }) : line(SCRIPTS[known]));
    return 0;
  },
};
