import { isUtf8 } from "node:buffer";
import { SandboxerError } from "../contract/index.ts";
import { wholeBody } from "./body.ts";
import type { HttpContext } from "./call.ts";
import { MAX_DEPTH, MAX_YAML_BYTES, type ServerLimits } from "./limits.ts";

export type DocumentType = "application/json" | "application/yaml";

const YAML_TYPES: ReadonlySet<string> = new Set(["application/yaml", "application/x-yaml", "text/yaml"]);

/** The request's body as a plain value; nothing of its shape is checked yet. */
export async function readDocument(context: HttpContext, limits: ServerLimits, accepted: readonly DocumentType[]): Promise<unknown> {
  const type = documentType(context, accepted);
  const maxBytes = type === "application/yaml" ? Math.min(limits.maxBodyBytes, MAX_YAML_BYTES) : limits.maxBodyBytes;
  const body = await wholeBody(context, { maxBytes, timeoutMs: limits.bodyTimeoutMs });
  if (!isUtf8(body)) throw new SandboxerError("invalid_request", "the body is not UTF-8");
  return type === "application/json" ? parseJson(body.toString(), "the body") : guarded(await parseYamlText(body.toString()), "the body");
}

/** JSON text as a plain value: not too deep, and without a key that would reach a prototype. */
export function parseJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The parser quotes the text around the fault, and there may be a secret in it.
    const place = error instanceof SyntaxError ? (/ at position \d+(?: \(line \d+ column \d+\))?/.exec(error.message)?.[0] ?? "") : "";
    throw new SandboxerError("invalid_request", `${what} is not JSON${place}`);
  }
  return guarded(value, what);
}

async function parseYamlText(text: string): Promise<unknown> {
  // Nearly every body is JSON.
  const { parse, YAMLError } = await import("yaml");
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch (error) {
    // The parser is recursive: a RangeError here is the depth of the document, a ReferenceError its aliases.
    if (error instanceof YAMLError || error instanceof RangeError || error instanceof ReferenceError) {
      throw new SandboxerError("invalid_request", `the body is not YAML that can be read: ${error.message}`);
    }
    throw error;
  }
}

function guarded(root: unknown, what: string): unknown {
  // Breadth first and without recursion, as the depth is what is being tested.
  let level: object[] = isObject(root) ? [root] : [];
  for (let depth = 1; level.length > 0; depth++) {
    if (depth > MAX_DEPTH) throw new SandboxerError("invalid_request", `${what} is nested deeper than ${MAX_DEPTH} levels`);
    const next: object[] = [];
    for (const node of level) {
      if (Object.hasOwn(node, "__proto__")) {
        const issues = [{ path: "__proto__", message: "is not a key that can be used" }];
        throw new SandboxerError("invalid_request", `${what} has a key __proto__`, { issues });
      }
      for (const child of Object.values(node) as unknown[]) if (isObject(child)) next.push(child);
    }
    level = next;
  }
  return root;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function documentType(context: HttpContext, accepted: readonly DocumentType[]): DocumentType {
  const header = context.req.header("content-type") ?? "";
  const [essence = "", ...parameters] = header.toLowerCase().split(";");
  const type: DocumentType | undefined = YAML_TYPES.has(essence.trim())
    ? "application/yaml"
    : essence.trim() === "application/json"
      ? "application/json"
      : undefined;
  const charset = parameters.map((parameter) => /^\s*charset\s*=\s*"?([^"\s]*)/.exec(parameter)?.[1]).find((name) => name !== undefined);
  if (type === undefined || !accepted.includes(type) || (charset !== undefined && charset !== "utf-8" && charset !== "utf8")) {
    throw unsupported(header, accepted);
  }
  refuseEncoding(context);
  return type;
}

/** Refuses a body of bytes that says it is something else; curl and browsers say nothing, which is taken. */
export function expectBytes(context: HttpContext, accepted: readonly string[]): void {
  const header = context.req.header("content-type");
  if (header !== undefined && !accepted.includes((header.toLowerCase().split(";")[0] ?? "").trim())) throw unsupported(header, accepted);
  refuseEncoding(context);
}

function refuseEncoding(context: HttpContext): void {
  const encoding = context.req.header("content-encoding");
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new SandboxerError("unsupported_media_type", `content-encoding "${encoding}" is not taken; send the body as it is`);
  }
}

function unsupported(header: string, accepted: readonly string[]): SandboxerError {
  const given = header === "" ? "no content-type was given" : `content-type "${header}" is not taken`;
  return new SandboxerError("unsupported_media_type", `${given}; this route takes ${accepted.join(" or ")}`, {
    hint: `Send 'Content-Type: ${accepted[0] ?? "application/json"}'.`,
  });
}
