import { SandboxerError, pathFromQuery } from "../contract/index.ts";

/**
 * The parameters of a raw query string. Read by hand because `path` carries bytes that need not be UTF-8, which a
 * decoded query has already lost. `metadata.<key>` parameters are gathered under `metadata`. Throws
 * `invalid_request` for a parameter given twice and for a bad percent-escape.
 */
export function parseQuery(raw: string): Record<string, unknown> {
  const query = bare<unknown>();
  let metadata: Record<string, string> | undefined;
  if (raw === "") return query;
  // Node hands over bytes above 0x7f as Latin-1 characters: which bytes were meant cannot be told any more.
  if (/[^\x21-\x7e]/.test(raw)) throw invalid("", "the query has characters that must be percent-escaped");
  for (const pair of raw.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const name = decode(equals === -1 ? pair : pair.slice(0, equals), "");
    const text = equals === -1 ? "" : pair.slice(equals + 1);
    const value = name === "path" ? decodePath(text) : decode(text, name);
    const isMetadata = name.startsWith("metadata.");
    const target: Record<string, unknown> = isMetadata ? (metadata ??= bare<string>()) : query;
    const key = isMetadata ? name.slice("metadata.".length) : name;
    if (key in target) throw invalid(name, "is given twice");
    target[key] = value;
  }
  if (metadata !== undefined) {
    if ("metadata" in query) throw invalid("metadata", "is given both as a whole and by key");
    query["metadata"] = metadata;
  }
  return query;
}

/** Without a prototype, so that no name of a parameter means anything else. */
function bare<T>(): Record<string, T> {
  return Object.create(null) as Record<string, T>;
}

function decode(text: string, name: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw invalid(name, "has a bad percent-escape, or bytes that are not UTF-8");
  }
}

function decodePath(text: string): string {
  try {
    return pathFromQuery(text);
  } catch {
    throw invalid("path", "has a bad percent-escape");
  }
}

function invalid(path: string, message: string): SandboxerError {
  return new SandboxerError("invalid_request", path === "" ? message : `query parameter "${path}" ${message}`, {
    issues: [{ path, message }],
  });
}
