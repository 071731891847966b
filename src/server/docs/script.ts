/**
 * The script of the reference page: renders /openapi.json. Everything is set as text, never as markup, so nothing in the
 * document can run. Written for browsers as they are; no backslashes or template literals, as it stands in one.
 */
export const SCRIPT = `
"use strict";
const byId = (id) => document.getElementById(id);
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== undefined && child !== ""));
  return node;
}
/* Text with its backquoted parts as code. */
function prose(text) {
  return (text || "").split(String.fromCharCode(96)).map((part, i) => (i % 2 ? el("code", {}, part) : part)).filter((part) => part !== "");
}
let doc;
const resolve = (schema) => (schema && schema.$ref ? doc.components.schemas[schema.$ref.split("/").pop()] || {} : schema || {});
const refName = (schema) => (schema && schema.$ref ? schema.$ref.split("/").pop() : "");

function typeText(schema) {
  if (schema.$ref) {
    const values = resolve(schema).enum;
    return refName(schema) + (values && values.length <= 12 ? ": " + values.map((v) => JSON.stringify(v)).join(" | ") : "");
  }
  if (schema.enum) return schema.enum.length > 12 ? "one of " + schema.enum.length : schema.enum.map((v) => JSON.stringify(v)).join(" | ");
  const choices = schema.oneOf || schema.anyOf;
  if (choices) return [...new Set(choices.map(typeText))].join(" | ");
  if (schema.type === "array") return typeText(schema.items || {}) + "[]";
  if (schema.type === "object" && typeof schema.additionalProperties === "object" && !schema.properties) return "map of " + (typeText(schema.additionalProperties) || "any");
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type || "any";
  return schema.format ? type + " (" + schema.format + ")" : type;
}
function bounds(schema) {
  const parts = [];
  if (schema.minimum !== undefined) parts.push("from " + schema.minimum);
  if (schema.maximum !== undefined && schema.maximum < 9e15) parts.push("to " + schema.maximum);
  if (schema.maxLength !== undefined) parts.push("at most " + schema.maxLength + " characters");
  if (schema.pattern !== undefined && schema.pattern.length < 60) parts.push("matches " + schema.pattern);
  return parts.join(", ");
}
/* The fields of a schema as a tree; a schema inside itself is only named. */
function tree(schema, seen) {
  const own = resolve(schema);
  const path = schema.$ref ? [...seen, schema.$ref] : seen;
  const choices = own.oneOf || own.anyOf;
  if (choices && choices.some((choice) => resolve(choice).properties)) {
    return el("div", {}, ...choices.flatMap((choice, i) => [el("em", {}, i ? "or" : "one of"), tree(choice, path) || typeText(choice)]));
  }
  if (own.type === "array" && own.items) return tree(own.items, path);
  if (!own.properties) return undefined;
  const list = el("ul", { class: "tree" });
  for (const [name, field] of Object.entries(own.properties)) {
    const target = resolve(field);
    const needed = (own.required || []).includes(name);
    const item = el("li", {}, el("code", {}, name), " ", el("span", { class: "type" }, typeText(field)), needed ? "" : el("span", { class: "type" }, ", optional"));
    const note = [field.description || target.description || "", bounds(target)].filter(Boolean).join(" ");
    if (note) item.append(" ", el("em", {}, ...prose(note)));
    const inner = path.includes(field.$ref) ? undefined : tree(field, path);
    if (inner) item.append(inner);
    list.append(item);
  }
  return list;
}
const json = (value) => JSON.stringify(value, null, 2);
const quote = (text) => "'" + text.replaceAll("'", "'" + String.fromCharCode(92) + "''") + "'";

function curl(method, path, operation) {
  const next = " " + String.fromCharCode(92, 10) + "  ";
  const example = { id: "$SANDBOX", pid: "$PROCESS", service: "db", name: "python" };
  const query = operation["x-example-query"] ? "?" + operation["x-example-query"] : "";
  const address = location.origin + path.replace(/{(.+?)}/g, (all, name) => (path.startsWith("/v1/keys") ? "$KEY" : example[name])) + query;
  let text = "curl " + (method === "get" ? "" : "-X " + method.toUpperCase() + " ") + '"' + address + '"';
  if ((operation.security || []).length) text += next + '-H "Authorization: Bearer $SANDBOXER_API_KEY"';
  const content = operation.requestBody ? operation.requestBody.content : {};
  const body = content["application/json"];
  if (body) text += next + "-H 'Content-Type: application/json'" + next + "-d " + quote(JSON.stringify(body.example || {}));
  else if (operation.requestBody) text += next + "-H 'Content-Type: " + Object.keys(content)[0] + "'" + next + "--data-binary @FILE";
  return text;
}
function parameters(list) {
  const table = el("table", {});
  for (const parameter of list) {
    const schema = resolve(parameter.schema);
    table.append(el("tr", {},
      el("td", {}, el("code", {}, parameter.name), " ", parameter.required ? el("span", { class: "need" }, "required") : ""),
      el("td", {}, el("span", { class: "type" }, parameter.in + ", " + typeText(schema)), el("div", {}, ...prose(parameter.description || schema.description || ""), " ", bounds(schema)))));
  }
  return table;
}
function media(content, title) {
  return Object.entries(content || {}).flatMap(([type, { schema, example }]) => {
    const inner = schema && tree(schema, []);
    const head = el("summary", {}, title + " ", el("code", {}, type), " ", el("span", { class: "type" }, refName(schema)));
    const shown = inner || el("p", {}, ...prose(resolve(schema).description || typeText(schema || {})));
    return [el("details", {}, head, example ? el("pre", {}, json(example)) : "", shown)];
  });
}
function answer([status, response]) {
  const head = el("summary", {}, el("b", {}, status), " ", ...prose(response.description));
  const inner = el("div", {});
  const examples = (response.content && response.content["application/json"] && response.content["application/json"].examples) || {};
  for (const { $ref } of Object.values(examples)) inner.append(el("pre", {}, json(doc.components.examples[$ref.split("/").pop()].value)));
  if (!inner.childNodes.length) inner.append(...media(response.content, "Body"));
  const headers = Object.entries(response.headers || {});
  if (headers.length) inner.append(el("p", {}, ...headers.flatMap(([name, { description }]) => [el("code", {}, name), " " + description + " "])));
  return el("details", {}, head, inner);
}
function operationSection(path, method, operation) {
  const command = curl(method, path, operation);
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", () => navigator.clipboard.writeText(command).then(() => { copy.textContent = "Copied"; }, () => { copy.textContent = "Not allowed"; }));
  const body = el("div", { class: "body" });
  if (operation.description) body.append(el("p", {}, ...prose(operation.description)));
  body.append(el("h4", {}, "Example"), el("div", { class: "curl" }, el("pre", {}, command), copy));
  if (operation.parameters && operation.parameters.length) body.append(el("h4", {}, "Parameters"), parameters(operation.parameters));
  if (operation.requestBody) body.append(el("h4", {}, "Request body"), ...media(operation.requestBody.content, "Send"));
  const answers = Object.entries(operation.responses);
  const errors = answers.filter(([status]) => status >= "400");
  body.append(el("h4", {}, "Answers"), ...answers.filter(([status]) => status < "400").map(answer),
    el("details", {}, el("summary", {}, "Errors ", el("span", { class: "type" }, errors.map(([status]) => status).join(" "))), ...errors.map(answer)));
  const scope = operation["x-scope"];
  return el("section", { id: operation.operationId },
    el("header", {},
      el("h3", {}, el("b", { class: "method " + method }, method.toUpperCase()), operation.summary, el("span", {}, scope === "open" ? "no key needed" : "scope " + scope)),
      el("div", { class: "path" }, path)),
    body);
}
function render() {
  byId("version").textContent = doc.info.version;
  const main = byId("main");
  main.replaceChildren(el("h2", {}, "The HTTP API"), el("p", {}, ...prose(doc.info.description)));
  for (const tag of doc.tags) {
    const found = Object.entries(doc.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
      .filter(({ operation }) => operation.tags.includes(tag.name));
    if (!found.length) continue;
    main.append(el("h2", {}, tag.name), el("p", {}, ...prose(tag.description)));
    const group = el("div", {}, el("h2", {}, tag.name));
    for (const { path, method, operation } of found) {
      main.append(operationSection(path, method, operation));
      group.append(el("a", { class: "route", href: "#" + operation.operationId, "data-text": (method + " " + path + " " + operation.summary).toLowerCase() },
        el("b", { class: method }, method.toUpperCase()), operation.summary));
    }
    byId("index").append(group);
  }
  if (location.hash) { const target = byId(location.hash.slice(1)); if (target) target.scrollIntoView(); }
}
byId("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(" ");
  for (const link of document.querySelectorAll("a.route")) link.classList.toggle("hidden", !words.every((word) => link.dataset.text.includes(word)));
});
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.classList.contains("dark") || (!root.classList.contains("light") && matchMedia("(prefers-color-scheme: dark)").matches);
  root.classList.toggle("dark", !dark);
  root.classList.toggle("light", dark);
});
fetch("/openapi.json").then((response) => response.json()).then((value) => { doc = value; render(); })
  .catch((error) => { byId("status").textContent = "Could not read /openapi.json: " + error; });
`;
