//! The kernel's structures: interfaces and layout tables.

use std::fmt::Write as _;

use vmhatch_vmm::layout::{Field, FieldType, STRUCTS, StructLayout};

use crate::naming::{camel, capitalised, quoted};

/// `kvm_regs` → `KvmRegs`.
fn interface_name(layout: &StructLayout) -> String {
    capitalised(&camel(layout.name))
}

fn field_type(field: &Field) -> String {
    let element = match field.kind {
        FieldType::Integer("u64" | "i64") => "bigint".to_owned(),
        FieldType::Integer(_) => "number".to_owned(),
        FieldType::Bytes(_) => "Uint8Array".to_owned(),
        FieldType::Struct(layout) => interface_name(layout),
    };
    match field.length {
        Some(_) => element + "[]",
        None => element,
    }
}

/// What the interface cannot say about a field: the kernel's width, the length of an array.
fn field_doc(field: &Field) -> String {
    let kind = match field.kind {
        FieldType::Integer(kind) => kind.to_owned(),
        FieldType::Bytes(size) => format!("{size} bytes"),
        FieldType::Struct(layout) => format!("`{}`", layout.name),
    };
    let kind = match field.length {
        Some(length) => format!("{length} × {kind}"),
        None => kind,
    };
    if field.doc.is_empty() { format!("{kind}.") } else { format!("{}; {kind}.", field.doc) }
}

/// lib/generated/struct-types.ts.
pub fn types() -> String {
    let types = STRUCTS.iter().map(|layout| {
        let mut out = format!("/** {}: `struct {}`. */\n", layout.doc, layout.name);
        let _ = writeln!(out, "export interface {} {{", interface_name(layout));
        for field in layout.fields {
            let _ = writeln!(out, "  /** {} */", field_doc(field));
            let _ = writeln!(out, "  {}: {};", camel(field.name), field_type(field));
        }
        out + "}\n"
    });
    types.collect::<Vec<_>>().join("\n")
}

/// lib/generated/struct-readers.ts.
pub fn readers() -> String {
    let mut out = String::from(
        "import { bytesAt, listOf } from '../internal/struct-parts.ts';\n\
         import type * as types from './struct-types.ts';\n",
    );
    for layout in STRUCTS {
        out.push_str(&reader(layout));
        if has_parts(layout) {
            out.push_str(&parts(layout));
        }
    }
    out
}

/// lib/generated/structs.ts.
pub fn layouts() -> String {
    let mut out = String::from(
        "import type { StructLayout } from '../internal/structs.ts';\n\
         import * as readers from './struct-readers.ts';\n\
         import type * as types from './struct-types.ts';\n\n\
         export type * from './struct-types.ts';\n",
    );
    for layout in STRUCTS {
        let (name, constant, interface) = (layout.name, camel(layout.name), interface_name(layout));
        let _ = writeln!(out, "\n/** Layout of `struct {name}`. */");
        let _ = writeln!(out, "export const {constant}: StructLayout<types.{interface}> = {{");
        let _ = writeln!(out, "  name: {},\n  size: {},", quoted(name), layout.size);
        // As prettier breaks arrays of objects: one alone stays on the line.
        let entries: Vec<_> = layout.fields.iter().map(field_entry).collect();
        let list = match &entries[..] {
            [only] => format!("[{only}]"),
            many => format!("[\n    {},\n  ]", many.join(",\n    ")),
        };
        let _ = writeln!(out, "  read: readers.read{interface},");
        if has_parts(layout) {
            let _ = writeln!(out, "  parts: readers.partsOf{interface},");
        }
        let _ = writeln!(out, "  fields: {list},\n}};");
    }
    out.push_str(&register_order());
    out
}

/// A function that reads the structure: written out, because that is several times faster than to follow the table.
fn reader(layout: &StructLayout) -> String {
    let interface = interface_name(layout);
    let mut out = format!("\n/** Reads `struct {}`. */\n", layout.name);
    let _ =
        writeln!(out, "export function read{interface}(view: DataView, at: number): types.{interface} {{");
    out.push_str("  return {\n");
    for field in layout.fields {
        let value = match field.length {
            None => element(field.kind, &place(field.offset)),
            Some(length) => {
                let place = format!("{} + index * {}", place(field.offset), width(field.kind));
                format!("listOf({length}, (index) => {})", element(field.kind, &place))
            }
        };
        let _ = writeln!(out, "    {}: {value},", camel(field.name));
    }
    out + "  };\n}\n"
}

/// Registers: nothing but numbers of 64 bits, and many of them.
fn has_parts(layout: &StructLayout) -> bool {
    let plain = |field: &Field| field.length.is_none() && matches!(field.kind, FieldType::Integer("u64"));
    layout.fields.len() > 8 && layout.fields.iter().all(plain)
}

/// A function that reads all fields of a whole value by their names: a name that is written out costs V8 nothing to find.
fn parts(layout: &StructLayout) -> String {
    let interface = interface_name(layout);
    let mut out = format!("\n/** What the fields of `struct {}` are, in their order. */\n", layout.name);
    let _ = writeln!(out, "export function partsOf{interface}(value: types.{interface}): unknown[] {{");
    out.push_str("  return [\n");
    for field in layout.fields {
        let _ = writeln!(out, "    value.{},", camel(field.name));
    }
    out + "  ];\n}\n"
}

fn place(offset: usize) -> String {
    if offset == 0 { "at".to_owned() } else { format!("at + {offset}") }
}

fn width(kind: FieldType) -> usize {
    match kind {
        FieldType::Integer("u8") => 1,
        FieldType::Integer("u16") => 2,
        FieldType::Integer("u32") => 4,
        FieldType::Integer(_) => 8,
        FieldType::Bytes(size) => size,
        FieldType::Struct(layout) => layout.size,
    }
}

/// Reads one value at a place.
fn element(kind: FieldType, at: &str) -> String {
    match kind {
        FieldType::Integer("u8") => format!("view.getUint8({at})"),
        FieldType::Integer("u16") => format!("view.getUint16({at}, true)"),
        FieldType::Integer("u32") => format!("view.getUint32({at}, true)"),
        FieldType::Integer("i64") => format!("view.getBigInt64({at}, true)"),
        FieldType::Integer(_) => format!("view.getBigUint64({at}, true)"),
        FieldType::Bytes(size) => format!("bytesAt(view, {at}, {size})"),
        FieldType::Struct(layout) => format!("read{}(view, {at})", interface_name(layout)),
    }
}

fn field_entry(field: &Field) -> String {
    let kind = match field.kind {
        FieldType::Integer(kind) => format!("type: {}", quoted(kind)),
        FieldType::Bytes(size) => format!("type: 'bytes', size: {size}"),
        FieldType::Struct(inner) => format!("struct: {}", camel(inner.name)),
    };
    let length = field.length.map(|length| format!(", length: {length}")).unwrap_or_default();
    format!("{{ name: {}, offset: {}, {kind}{length} }}", quoted(&camel(field.name)), field.offset)
}

fn register_order() -> String {
    let mut out = String::from(
        "\n/** The general-purpose registers as `struct kvm_regs` has them, 8 bytes each: index = offset / 8. */\n\
         export const REGISTER_ORDER = [\n",
    );
    let registers = STRUCTS.iter().find(|layout| layout.name == "kvm_regs");
    for field in registers.iter().flat_map(|layout| layout.fields) {
        let _ = writeln!(out, "  {},", quoted(field.name));
    }
    out.push_str("] as const satisfies readonly (keyof types.KvmRegs)[];\n");
    out
}
