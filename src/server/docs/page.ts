import { createHash } from "node:crypto";
import { SCRIPT } from "./script.ts";
import { STYLE } from "./style.ts";

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Only this page's own style and script run, and only this server is asked. */
export const DOCS_POLICY = [
  "default-src 'none'",
  `style-src ${hash(STYLE)}`,
  `script-src ${hash(SCRIPT)}`,
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const DOCS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>sand-boxer API</title>
<style>${STYLE}</style>
</head>
<body>
<nav aria-label="Routes">
<h1>sand-boxer <small id="version"></small></h1>
<input id="filter" type="search" placeholder="Filter routes" aria-label="Filter routes">
<div id="index"></div>
<p><button id="theme" type="button">Light / dark</button> <a href="/openapi.json">openapi.json</a></p>
</nav>
<main id="main"><p id="status">Reading /openapi.json ...</p></main>
<noscript>This page renders /openapi.json with a small script of its own; read that file instead.</noscript>
<script>${SCRIPT}</script>
</body>
</html>
`;
