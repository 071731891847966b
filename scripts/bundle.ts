/**
 * Joins the built CLI and what it imports from npm into a few files below `dist/bundle`: a start that loads 700 modules costs
 * more than the sandbox it makes. Runs after tsc. See docs/decisions/0403-bundled-cli.md.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { build, type Plugin } from "rolldown";

const root = join(import.meta.dirname, "..");
const out = join(root, "dist", "bundle");

/** Files beside a module (native/, profiles/, package.json) are found from its own place in dist, not from the bundle's. */
const ownAddresses: Plugin = {
  name: "own-addresses",
  transform: {
    filter: { id: /\/dist\//, code: "import.meta." },
    handler(code, id) {
      const [file, directory] = [id, dirname(id)].map((path) => relative(out, path).split(sep).join("/"));
      return code
        .replaceAll("import.meta.dirname", `(import.meta.dirname + ${JSON.stringify(`/${directory}`)})`)
        .replaceAll("import.meta.url", `new URL(${JSON.stringify(file)}, import.meta.url).href`);
    },
  },
};

/**
 * Takes from Node's modules only the names that are used. An import statement reads every export of such a module, and
 * reading `WebSocket` off `node:http` alone loads an HTTP client, which doubles the time of a start.
 */
const onlyUsedBuiltins: Plugin = {
  name: "only-used-builtins",
  renderChunk(code) {
    return code.replaceAll(/^import (?:([\w$]+)|(?:([\w$]+), )?(\{[^}]*\})) from "(node:[\w/]+)";$/gm, (_, whole, also, names, module) => {
      const all = `process.getBuiltinModule("${module}")`;
      const taken = [whole ?? also, names?.replaceAll(" as ", ": ")].filter((target) => target !== undefined);
      return taken.map((target) => `const ${target} = ${all};`).join(" ");
    });
  },
};

/** Of zod's messages in fifty languages, the one that is used. */
const oneLanguage: Plugin = {
  name: "one-language",
  load: { filter: { id: /\/zod\/v4\/locales\/index\.js$/ }, handler: () => 'export { default as en } from "./en.js";' },
};

/** What is loaded together stands together: a file costs 0.5 ms. What is seldom needed stays by itself. */
const groups = [
  // Before all others, since it says where compiled code is kept.
  { name: "start", test: /\/dist\/cli\/data-directory\.js$/, priority: 2 },
  {
    name: "cli",
    test: /\/dist\/(cli\/(?!index)|sdk\/|sync\/tar\/|tar\/|contract\/(errors|format|ids|image-reference|nearest|path|plain-web)\.js$)/,
    priority: 1,
  },
  {
    name: "engine",
    test: /\/dist\/(main|contract\/|engine\/(?!hub\/)|guard\/(?!outbound\/)|ledger\/|providers\/(local\/(?!doctor)|shared\/)|server\/(?!listener|openapi|socket|tunnel-door|caller-life|tls-server|e2b\/|preview\/(?!address|cookies|headers|origins|tokens)|docs\/page))|\/node_modules\/(hono|kysely|zod)\//,
  },
  // Only for what listens: its messages' descriptors are built when it is loaded.
  { name: "e2b", test: /\/dist\/server\/e2b\/|\/node_modules\/(@bufbuild|@connectrpc)\// },
];

const { output } = await build({
  input: { index: join(root, "dist", "cli", "index.js") },
  cwd: root,
  platform: "node",
  preserveEntrySignatures: false,
  // Seldom loaded; Cedar's evaluator is a file beside its module; a part of pino runs in threads of its own, from files beside it; and e2b, dockerode, stripe and OpenTelemetry are there only where their user installed them.
  external: ["pino", "yaml", "e2b", "dockerode", "stripe", "@cedar-policy/cedar-wasm/nodejs", /^@opentelemetry\//],
  plugins: [ownAddresses, onlyUsedBuiltins, oneLanguage],
  output: {
    dir: out,
    chunkFileNames: "[name]-[hash].js",
    cleanDir: true,
    comments: { legal: true, annotation: false, jsdoc: false },
    codeSplitting: { includeDependenciesRecursively: false, groups },
  },
  logLevel: "warn",
  // Such imports are for the unbundled form.
  checks: { ineffectiveDynamicImport: false },
});

/** Their licences ask for the notices to go along with copies. */
const packages = new Map<string, string>();
for (const chunk of output) {
  for (const id of chunk.type === "chunk" ? chunk.moduleIds : []) {
    const directory = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id)?.[0];
    if (directory !== undefined) packages.set(directory, directory.slice(directory.lastIndexOf("node_modules/") + "node_modules/".length));
  }
}
const byName = [...packages].toSorted(([, one], [, other]) => (one < other ? -1 : 1));
const notices = byName.map(([directory, name]) => {
  const { license, author } = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as { license: string; author?: string };
  const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file === undefined ? (author ?? "") : readFileSync(join(directory, file), "utf8").trim();
  return `${name} (${license})\n\n${text}\n`;
});
writeFileSync(join(out, "LICENSES.txt"), notices.join(`\n${"-".repeat(80)}\n\n`));
