//! Reads AML, as far as the DSDT uses it (ACPI 6.5, chapter 20), and resource templates (section 6.4).
//!
//! It panics at anything else, and at a package that does not end where its contents end.

use super::number;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Integer(u64),
    String(String),
    Buffer(Vec<u8>),
    Package(Vec<Value>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Scope(String, Vec<Object>),
    Device(String, Vec<Object>),
    Name(String, Value),
}

/// All objects of a definition block without its head.
pub(super) fn objects(code: &[u8]) -> Vec<Object> {
    let mut rest = Rest(code);
    let mut objects = Vec::new();
    while !rest.0.is_empty() {
        objects.push(rest.object());
    }
    objects
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(length).expect("the code ends in an object");
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    /// PkgLength (section 20.2.4), and the bytes that it spans behind itself.
    fn package(&mut self) -> Rest<'a> {
        let lead = self.byte();
        let following = usize::from(lead >> 6);
        let length = if following == 0 {
            usize::from(lead & 0x3f)
        } else {
            assert_eq!(lead & 0x30, 0, "reserved bits");
            self.take(following).iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte)) << 4
                | usize::from(lead & 0xf)
        };
        Rest(self.take(length - 1 - following))
    }

    /// A single name segment: no prefix, no path.
    fn name(&mut self) -> String {
        let name = std::str::from_utf8(self.take(4)).unwrap();
        let is_good = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        assert!(name.bytes().all(is_good) && !name.as_bytes()[0].is_ascii_digit(), "{name}");
        name.to_owned()
    }

    fn object(&mut self) -> Object {
        match self.byte() {
            0x08 => Object::Name(self.name(), self.value()),
            0x10 => {
                let mut package = self.package();
                Object::Scope(package.name(), objects(package.0))
            }
            0x5b => {
                assert_eq!(self.byte(), 0x82, "of the extended operators only DeviceOp");
                let mut package = self.package();
                Object::Device(package.name(), objects(package.0))
            }
            other => panic!("operator {other:#x}"),
        }
    }

    fn value(&mut self) -> Value {
        match self.byte() {
            value @ (0 | 1) => Value::Integer(value.into()),
            0x0a => Value::Integer(number(self.take(1), 0, 1)),
            0x0b => Value::Integer(number(self.take(2), 0, 2)),
            0x0c => Value::Integer(number(self.take(4), 0, 4)),
            0x0e => Value::Integer(number(self.take(8), 0, 8)),
            0x0d => {
                let length = self.0.iter().position(|byte| *byte == 0).expect("the string ends");
                let text = self.take(length).to_vec();
                self.byte();
                Value::String(String::from_utf8(text).unwrap())
            }
            0x11 => {
                let mut package = self.package();
                let length = package.value();
                let bytes = package.0.to_vec();
                assert_eq!(length, Value::Integer(bytes.len() as u64));
                Value::Buffer(bytes)
            }
            0x12 => {
                let mut package = self.package();
                let count = package.byte();
                let values = (0..count).map(|_| package.value()).collect();
                assert!(package.0.is_empty(), "more elements than the package says");
                Value::Package(values)
            }
            other => panic!("value {other:#x}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Memory32 { start: u64, length: u64 },
    Memory64 { start: u64, length: u64 },
    Io { start: u64, length: u64 },
    WordIo { start: u64, length: u64 },
    Interrupt { flags: u8, gsi: u64 },
}

/// The descriptors of a resource template.
pub(super) fn resources(template: &[u8]) -> Vec<Resource> {
    let mut rest = Rest(template);
    let mut resources = Vec::new();
    loop {
        let tag = rest.byte();
        // A small descriptor has its length in its tag.
        let length = if tag & 0x80 == 0 { usize::from(tag & 7) } else { number(rest.take(2), 0, 2) as usize };
        let body = rest.take(length);
        resources.push(match (tag, length) {
            (0x79, 1) => {
                assert_eq!((body, rest.0), ([0].as_slice(), [].as_slice()), "the end is the end");
                return resources;
            }
            (0x47, 7) => {
                let start = number(body, 1, 2);
                assert_eq!((body[0], number(body, 3, 2), body[5]), (1, start, 1), "decodes 16 bits, fixed");
                Resource::Io { start, length: number(body, 6, 1) }
            }
            (0x86, 9) => {
                assert_eq!(body[0], 1, "read and write");
                Resource::Memory32 { start: number(body, 1, 4), length: number(body, 5, 4) }
            }
            // Both ends fixed, consumer.
            (0x8a, 43) => {
                assert_eq!(body[..3], [0, 0b1101, 1], "memory, fixed consumer, not cached, read and write");
                Resource::Memory64 { start: address_space(&body[3..], 8), length: number(body, 35, 8) }
            }
            (0x88, 13) => {
                assert_eq!(body[..3], [1, 0b1101, 3], "ports, fixed consumer, the entire range");
                Resource::WordIo { start: address_space(&body[3..], 2), length: number(body, 11, 2) }
            }
            (0x89, 6) => {
                assert_eq!(body[1], 1, "one interrupt");
                Resource::Interrupt { flags: body[0], gsi: number(body, 2, 4) }
            }
            other => panic!("descriptor {other:x?}"),
        });
    }
}

/// Granularity, first, last, translation, length: the first, after a look at the others.
fn address_space(fields: &[u8], width: usize) -> u64 {
    let field = |index: usize| number(fields, index * width, width);
    assert_eq!((field(0), field(3)), (0, 0));
    assert_eq!(field(2) - field(1) + 1, field(4));
    field(1)
}
