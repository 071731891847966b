import type { BackendConfig, Config, Provider } from "../contract/index.ts";
import { SandboxerError } from "../contract/index.ts";
import type { Finding } from "../contract/finding.ts";
import { openBackends, type OpenBackendsOptions } from "./backends.ts";

/** How long one backend may take to answer. Milliseconds. */
const WITHIN_MS = 60_000;

/**
 * Opens each of these backends as a server would, and asks what it has of ours: whether it is reached, lets us in, what it gives, and what it
 * says against itself. Nothing is made but what a backend tries itself with, which it removes. What fails is a finding, never an exception.
 */
export async function examineBackends(
  configured: readonly BackendConfig[],
  dataDirectory: string,
  options: OpenBackendsOptions,
): Promise<Finding[]> {
  return (await Promise.all(configured.map((one) => examine(one, dataDirectory, options)))).flat();
}

async function examine(configured: BackendConfig, dataDirectory: string, options: OpenBackendsOptions): Promise<Finding[]> {
  const id = `backend.${configured.name}`;
  const title = `backend ${configured.name} (${configured.provider})`;
  const failed = (thrown: unknown): Finding => {
    const { code, message, hint } = SandboxerError.from(thrown);
    const next = hint === undefined ? "" : `. ${hint}`;
    return { id, ok: false, level: "error", title: `${title} cannot be used`, detail: `${code}: ${message}${next}` };
  };
  if (configured.enabled === false) return [{ id, ok: true, level: "info", title, detail: "switched off" }];
  let provider: Provider | null = null;
  try {
    const only: Config = { backends: [configured] };
    const [backend] = await openBackends(only, dataDirectory, { ...options, stays: false });
    provider = backend?.provider ?? null;
    if (provider === null) return [failed(backend?.problem)];
    return await seen(provider, { id, title }, options);
  } catch (thrown) {
    return [failed(thrown)];
  } finally {
    await provider?.dispose?.();
  }
}

async function seen(provider: Provider, { id, title }: { id: string; title: string }, { log }: OpenBackendsOptions): Promise<Finding[]> {
  const { isolation, unavailable, capabilities } = provider.traits;
  if (isolation.length === 0)
    return [{ id, ok: false, level: "error", title: `${title} makes no sandboxes`, detail: unavailable ?? "it does not say why" }];
  // A list that breaks off throws.
  for await (const _ of provider.list({ signal: AbortSignal.timeout(WITHIN_MS), log })) continue;
  const levels = isolation.map(({ level, runtime }) => `${level} by ${runtime}`).join(", ");
  const count = Object.keys(capabilities).length;
  return [
    { id, ok: true, level: "info", title, detail: `${levels}; ${count} capabilities; its list can be read` },
    ...isolation.flatMap(({ level, notes }) =>
      notes.map((note): Finding => ({
        id: `${id}.note`,
        ok: false,
        level: "info",
        title: `what to know of ${title} at ${level}`,
        detail: note,
      })),
    ),
  ];
}
