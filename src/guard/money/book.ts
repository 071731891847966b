import { type BackendConfig, nearest, Price, type PriceBook, parse, SandboxerError } from "../../contract/index.ts";

/** Finds the price of a backend. null: nobody has said what it costs. `provider`: whose entry stands for one that is not configured. */
export interface Prices {
  of(backend: string, provider?: string): Price | null;
}

type Book = PriceBook["prices"];

function ownEntry(book: Book, key: string): Price | undefined {
  return Object.hasOwn(book, key) ? book[key] : undefined;
}

function refuse(backend: string, message: string, known: readonly string[], key: string): never {
  const near = nearest(key, known);
  throw new SandboxerError("invalid_request", `backends.${backend}.price: ${message}${near === undefined ? "" : `; nearest: "${near}"`}`, {
    phase: "open",
    issues: [{ path: `backends.${backend}.price`, message, ...(near === undefined ? {} : { nearest: near }) }],
  });
}

function priceOf({ name, provider, price }: BackendConfig, book: Book): Price | null {
  const entry = ownEntry(book, typeof price === "string" ? price : provider);
  if (typeof price === "string" && entry === undefined) refuse(name, `the price book has no "${price}"`, Object.keys(book), price);
  if (price === undefined || typeof price === "string") return entry ?? null;
  const base = entry === undefined ? { cpu_basis: "allocated", effective: "always" } : entry;
  const what = `backends.${name}.price${entry === undefined ? ` (the price book has no "${provider}" to complete it)` : ""}`;
  return parse(Price, { ...base, source: "the configuration", confidence: "high", ...price }, { what });
}

/**
 * The prices of the configured backends: of each the entry of its provider's name or of the key it names, with its own terms over it.
 * Read when a price is first asked for.
 *
 * @throws SandboxerError from the first `of`: `invalid_request` for a key that no book has, and for own terms that are not whole.
 */
export function pricesOf(backends: readonly BackendConfig[], books: () => readonly PriceBook[]): Prices {
  let found: { readonly book: Book; readonly prices: ReadonlyMap<string, Price | null> } | undefined;
  const read = () => {
    // Later books stand before earlier ones, entry by entry.
    const book: Book = Object.assign({}, ...books().map(({ prices }) => prices));
    return { book, prices: new Map(backends.map((backend) => [backend.name, priceOf(backend, book)] as const)) };
  };
  return {
    of(backend, provider) {
      const { book, prices } = (found ??= read());
      return prices.get(backend) ?? (provider === undefined ? undefined : ownEntry(book, provider)) ?? null;
    },
  };
}
