/** A JSON-like document as YAML, without a parser's weight: scalars as JSON, which YAML reads as it is. */
export function stringify(value: unknown, indent = ""): string {
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.map((item) => `\n${indent}- ${nested(item, `${indent}  `)}`).join("");
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value);
    if (entries.length === 0) return "{}";
    const text = entries.map(([key, item]) => `\n${indent}${plainKey(key)}:${spaced(stringify(item, `${indent}  `))}`).join("");
    return indent === "" ? text.slice(1) : text;
  }
  return typeof value === "string" &&
    /^[A-Za-z][\w ./()-]*$/.test(value) &&
    !/^(true|false|null|yes|no|on|off|y|n)$/i.test(value) &&
    value === value.trim()
    ? value
    : JSON.stringify(value);
}

function spaced(text: string): string {
  return text.startsWith("\n") ? text : ` ${text}`;
}

/** A mapping or list inside a list item begins on the dash's line. */
function nested(item: unknown, indent: string): string {
  return stringify(item, indent).trimStart();
}

function plainKey(key: string): string {
  return /^[A-Za-z_][\w.-]*$/.test(key) ? key : JSON.stringify(key);
}
