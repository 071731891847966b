import { defineProvider, type Provider } from "../../src/contract/index.ts";
import fake from "../../src/providers/fake/index.ts";

/**
 * The fake backend with a place where a boundary can attach: for tests of what the engine does around a network. There is no
 * namespace behind the path; with {@link MemoryBoundary} nobody enters it.
 */
export default defineProvider({
  name: "networked-fake",
  options: fake.options,
  async open(options, context): Promise<Provider> {
    const inner = await fake.open(options, context);
    const capabilities = { "net.allow_domain": "native", "net.allow_cidr": "native", "net.l7": "native", "net.update": "native", "net.audit": "native", "secrets.egress_inject": "native" } as const; // prettier-ignore
    return {
      ...inner,
      traits: { ...inner.traits, capabilities: { ...inner.traits.capabilities, ...capabilities } },
      create: ({ egress: _egress, ...spec }, op) => inner.create(spec, op),
      network: { namespace: async (ref) => `/nonexistent/${ref.id}` },
    };
  },
});
