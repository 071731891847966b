/** What the world has seen: the oracle of every egress test. */
export type Seen =
  | { readonly kind: "tcp"; readonly address: string; readonly port: number }
  | { readonly kind: "udp"; readonly address: string; readonly port: number; readonly bytes: string }
  | { readonly kind: "dns"; readonly name: string; readonly type: string; readonly protocol: "udp" | "tcp" }
  | {
      readonly kind: "http";
      readonly tls: boolean;
      readonly version: string;
      readonly host: string;
      readonly server_name: string;
      readonly method: string;
      readonly url: string;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
    }
  | { readonly kind: "body"; readonly host: string; readonly url: string; readonly text: string }
  | { readonly kind: "websocket"; readonly host: string; readonly url: string };

export type Log = (seen: Seen) => void;

/** What the process in the world's namespace is started with, as JSON in its first argument. */
export interface WorldOptions {
  readonly addresses: { readonly allowed: string; readonly denied: string; readonly dns: string; readonly others: readonly string[] };
  readonly certificates: Readonly<Record<string, { readonly key: string; readonly certificate: string }>>;
  readonly zone: Readonly<Record<string, { readonly answers: string[][]; readonly ttl: number }>>;
}

/** To the process: change a name, or say that all has been told; from it: `ready`, what it has seen, and that it has done what it was told. */
export type ToWorld = { readonly set: string; readonly answers: string[][]; readonly ttl: number } | { readonly settle: string };
export type FromWorld = { readonly ready: true } | { readonly done: string } | { readonly seen: Seen };
