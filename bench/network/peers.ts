import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ADDRESS } from "./cables.ts";
import { answers, type FarEnd } from "./far.ts";
import { FAR, TLS_PORT } from "./names.ts";
import { isThere, type PeerName } from "./programs.ts";

/** A proxy of Debian's between the near end and the far end, in the host's namespace as the boundary is. */
export interface Peer {
  readonly name: string;
  /** What curl is told beside the address. */
  readonly curl: readonly string[];
}

/** Each reads the server's name where it can (nginx stream, HAProxy), or is told it by CONNECT (tinyproxy): what the boundary does for passthrough. */
const RECIPES: Readonly<Record<PeerName, { name: string; port: number; proxy: boolean; run: (file: string) => string[]; text: string }>> = {
  nginx: {
    name: "nginx stream", port: 4431, proxy: false, run: (file) => ["nginx", "-e", "stderr", "-c", file],
    text: `load_module /usr/lib/nginx/modules/ngx_stream_module.so; daemon off; worker_processes 1; pid FILE.pid; user root;
events { worker_connections 8192; }
stream {
  map $ssl_preread_server_name $to { ${FAR} ${ADDRESS.far}:${TLS_PORT}; }
  server { listen ${ADDRESS.gateway}:4431 backlog=4096; ssl_preread on; proxy_pass $to; }
}
`,
  },
  haproxy: {
    name: "HAProxy", port: 4432, proxy: false, run: (file) => ["haproxy", "-db", "-f", file],
    text: `global
  maxconn 4096
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 600s
  timeout server 600s
frontend in
  bind ${ADDRESS.gateway}:4432
  tcp-request inspect-delay 5s
  tcp-request content accept if { req_ssl_sni -i ${FAR} }
  tcp-request content reject
  default_backend far
backend far
  server far ${ADDRESS.far}:${TLS_PORT}
`,
  },
  tinyproxy: {
    name: "tinyproxy", port: 4433, proxy: true, run: (file) => ["tinyproxy", "-d", "-c", file],
    text: `Port 4433
Listen ${ADDRESS.gateway}
Timeout 600
MaxClients 4096
LogLevel Critical
ConnectPort ${TLS_PORT}
`,
  },
}; // prettier-ignore

/** Starts those that are installed. */
export async function startPeers(far: FarEnd): Promise<{ readonly peers: readonly Peer[]; readonly missing: readonly string[] }> {
  const peers: Peer[] = [];
  const missing: string[] = [];
  for (const [program, { name, port, proxy, run, text }] of Object.entries(RECIPES)) {
    if (!isThere(program)) {
      missing.push(name);
      continue;
    }
    const file = join(far.directory, `${program}.conf`);
    writeFileSync(file, text.replaceAll("FILE", file));
    far.start(run(file));
    try {
      await answers(ADDRESS.gateway, port);
    } catch (cause) {
      throw new Error(`${name} does not run: ${far.log}`, { cause });
    }
    const to = `${ADDRESS.gateway}:${port}`;
    // tinyproxy is told an address: it has no resolver in this world.
    const curl = proxy
      ? ["--proxy", `http://${to}`, "--connect-to", `${FAR}:${TLS_PORT}:${ADDRESS.far}:${TLS_PORT}`]
      : ["--connect-to", `${FAR}:${TLS_PORT}:${to}`];
    peers.push({ name, curl });
  }
  return { peers, missing };
}
