import { styleText } from "node:util";
import type { WriteStream } from "node:tty";

type Color = "red" | "green" | "yellow" | "cyan" | "dim" | "bold";

/** Colours on a terminal only, and not with NO_COLOR. */
export function paint(stream: NodeJS.WriteStream | WriteStream, color: Color, text: string): string {
  return stream.isTTY && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb"
    ? styleText(color, text, { validateStream: false })
    : text;
}

/**
 * What a sandbox wrote (names, messages) must not drive the reader's terminal: control characters and bidirectional
 * overrides become visible escapes.
 */
export function plain(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff ? `\\x${(code - 0xdc00).toString(16)}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
