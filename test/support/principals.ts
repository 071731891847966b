import type { Principal } from "../../src/contract/index.ts";

export const OWNER: Principal = { tenant: "acme", key_id: null, scopes: ["read", "write"] };
