export * from "./book.ts";
export * from "./price.ts";
