/** The ports that are listened on as they become known; 0 while there is none. */
export interface ListenedPorts {
  readonly plain: number;
  readonly tls: number;
}

/** How this server is reached by host names. */
export interface DomainOptions {
  /** What sandboxes' host names end in, with a port where it is not the usual one; `localhost` unless given. */
  readonly domain?: string;
  /** Whether a proxy in front ends TLS. */
  readonly https?: boolean;
}

/** What host names end in, as a client writes it. */
export function domainWithPort({ domain, https = false }: DomainOptions, { plain, tls }: ListenedPorts): string {
  if (domain === undefined) return `localhost:${plain}`;
  if (domain.includes(":")) return domain;
  if (tls !== 0) return tls === 443 ? domain : `${domain}:${tls}`;
  return https || plain === 80 || plain === 0 ? domain : `${domain}:${plain}`;
}

/** Scheme and host of a port's pages; null where no server listens, so that nobody could open them. */
export function originOf(options: DomainOptions, ports: ListenedPorts, sandboxId: string, port: number): string | null {
  if (ports.plain === 0 && ports.tls === 0) return null;
  const isSecure = options.https === true || (options.domain !== undefined && ports.tls !== 0);
  return `${isSecure ? "https" : "http"}://${port}-${sandboxId}.${domainWithPort(options, ports)}`;
}
