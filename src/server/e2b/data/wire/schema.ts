import { create, createFileRegistry, type FileRegistry } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  file_google_protobuf_timestamp,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/** Fields of a message by name, each as `[repeated|optional|map|<oneof>:] type number`: the public wire's own names and numbers. */
type Fields = Readonly<Record<string, string>>;

export interface FileSpec {
  readonly name: string;
  /** By name; a dot nests: `PTY.Size` is inside `PTY`, which stands before it. */
  readonly messages: Readonly<Record<string, Fields>>;
  readonly enums: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Methods by service: `Request -> Response`, with `stream` before a side that streams. */
  readonly services: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

const SCALARS: Readonly<Record<string, Type>> = {
  bool: Type.BOOL, bytes: Type.BYTES, int64: Type.INT64, sint32: Type.SINT32, string: Type.STRING, uint32: Type.UINT32,
}; // prettier-ignore

const FIELD = /^(?:(repeated|optional|map|\w+:) )?(\S+) (\d+)$/;
const METHOD = /^(stream )?(\w+) -> (stream )?(\w+)$/;

/** The descriptors that a compiler would have made from a .proto file. */
export function schemaOf(spec: FileSpec): FileRegistry {
  const proto = create(FileDescriptorProtoSchema, {
    name: `${spec.name}.proto`,
    package: spec.name,
    syntax: "proto3",
    dependency: [file_google_protobuf_timestamp.proto.name],
    messageType: messagesBelow(spec, ""),
    enumType: Object.entries(spec.enums).map(([name, values]) => ({
      name,
      value: Object.entries(values).map(([value, number]) => ({ name: value, number })),
    })),
    service: Object.entries(spec.services).map(([name, methods]) => ({
      name,
      method: Object.entries(methods).map(([method, signature]) => methodOf(spec, method, signature)),
    })),
  });
  return createFileRegistry(proto, () => file_google_protobuf_timestamp);
}

type MessageInit = NonNullable<NonNullable<Parameters<typeof create<typeof FileDescriptorProtoSchema>>[1]>["messageType"]>[number];
type FieldInit = NonNullable<MessageInit["field"]>[number];

function messagesBelow(spec: FileSpec, prefix: string): MessageInit[] {
  return Object.entries(spec.messages)
    .filter(([name]) => name.startsWith(prefix) && !name.slice(prefix.length).includes("."))
    .map(([name, fields]) => messageOf(spec, name, fields));
}

function messageOf(spec: FileSpec, name: string, fields: Fields): MessageInit {
  const oneofs: string[] = [];
  const entries: MessageInit[] = [];
  const indexOf = (oneof: string): number => (oneofs.includes(oneof) ? oneofs.indexOf(oneof) : oneofs.push(oneof) - 1);
  const field = Object.entries(fields).map(([fieldName, text]): FieldInit => {
    const [, how = "", type = "", number = ""] = FIELD.exec(text) ?? [];
    const base = { name: fieldName, jsonName: jsonName(fieldName), number: Number(number), label: Label.OPTIONAL };
    if (how === "map") {
      const entry = `${jsonName(fieldName).replace(/^./, (letter) => letter.toUpperCase())}Entry`;
      entries.push({ name: entry, field: [scalar("key", 1), scalar("value", 2)], options: { mapEntry: true } });
      return { ...base, label: Label.REPEATED, type: Type.MESSAGE, typeName: `.${spec.name}.${name}.${entry}` };
    }
    const typed = { ...base, ...typeOf(spec, type) };
    if (how === "repeated") return { ...typed, label: Label.REPEATED };
    // Presence of a scalar is a oneof of its own.
    if (how === "optional") return { ...typed, proto3Optional: true, oneofIndex: indexOf(`_${fieldName}`) };
    return how === "" ? typed : { ...typed, oneofIndex: indexOf(how.slice(0, -1)) };
  });
  return {
    name: name.slice(name.lastIndexOf(".") + 1),
    field,
    oneofDecl: oneofs.map((oneof) => ({ name: oneof })),
    nestedType: [...messagesBelow(spec, `${name}.`), ...entries],
  };
}

function scalar(name: string, number: number): FieldInit {
  return { name, jsonName: name, number, label: Label.OPTIONAL, type: Type.STRING };
}

function typeOf(spec: FileSpec, type: string): { type: Type; typeName?: string } {
  const known = SCALARS[type];
  if (known !== undefined) return { type: known };
  if (type === "Timestamp") return { type: Type.MESSAGE, typeName: ".google.protobuf.Timestamp" };
  return { type: type in spec.enums ? Type.ENUM : Type.MESSAGE, typeName: `.${spec.name}.${type}` };
}

function methodOf(spec: FileSpec, name: string, signature: string) {
  const [, clientStreaming, input, serverStreaming, output] = METHOD.exec(signature) ?? [];
  return {
    name,
    inputType: `.${spec.name}.${input}`,
    outputType: `.${spec.name}.${output}`,
    clientStreaming: clientStreaming !== undefined,
    serverStreaming: serverStreaming !== undefined,
  };
}

function jsonName(name: string): string {
  return name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
}
