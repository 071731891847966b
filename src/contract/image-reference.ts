const DIGEST = /^sha256:[0-9a-f]{64}$/;

const REGISTRY = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:\d{1,5})?$/;
const PATH = /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/** The whole of a reference that leaves parts out: registry docker.io, `library/`, tag `latest`. undefined: it is none. */
export function fullReference(text: string): string | undefined {
  const [named = "", digest] = text.split("@");
  if (digest !== undefined && !DIGEST.test(digest)) return undefined;
  const first = named.split("/")[0] ?? "";
  const remote = named.includes("/") && (/[.:]/.test(first) || first === "localhost");
  const registry = remote ? first : "docker.io";
  const rest = remote ? named.slice(first.length + 1) : named;
  const colon = rest.indexOf(":");
  const [path, tag = "latest"] = colon === -1 ? [rest] : [rest.slice(0, colon), rest.slice(colon + 1)];
  if (!REGISTRY.test(registry) || !PATH.test(path) || !TAG.test(tag)) return undefined;
  const whole = registry === "docker.io" && !path.includes("/") ? `library/${path}` : path;
  return digest === undefined ? `${registry}/${whole}:${tag}` : `${registry}/${whole}@${digest}`;
}

/** Whether a text is an image's own id. */
export function isImageId(text: string): boolean {
  return DIGEST.test(text);
}
