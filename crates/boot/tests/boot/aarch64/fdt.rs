//! Reads a flattened device tree, as the Devicetree Specification 0.4 has it in chapter 5, and panics at anything that is
//! not as it says there.

use std::collections::BTreeSet;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROP: u32 = 3;
const END: u32 = 9;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub properties: Vec<(String, Vec<u8>)>,
    pub children: Vec<Node>,
}

impl Node {
    pub fn child(&self, name: &str) -> &Node {
        let found = self.children.iter().find(|node| node.name == name);
        found.unwrap_or_else(|| panic!("no {name} among {} nodes", self.children.len()))
    }

    pub fn names(&self) -> Vec<&str> {
        self.children.iter().map(|node| node.name.as_str()).collect()
    }

    pub fn find(&self, name: &str) -> Option<&[u8]> {
        self.properties.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_slice())
    }

    pub fn property(&self, name: &str) -> &[u8] {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub fn text(&self, name: &str) -> &str {
        let (text, nul) = self.property(name).split_at(self.property(name).len() - 1);
        assert_eq!(nul, b"\0");
        std::str::from_utf8(text).unwrap()
    }

    pub fn texts(&self, name: &str) -> Vec<&str> {
        self.text(name).split('\0').collect()
    }

    pub fn cells(&self, name: &str) -> Vec<u32> {
        let (cells, rest) = self.property(name).as_chunks::<4>();
        assert!(rest.is_empty());
        cells.iter().map(|cell| u32::from_be_bytes(*cell)).collect()
    }

    pub fn cell(&self, name: &str) -> u32 {
        let cells = self.cells(name);
        assert_eq!(cells.len(), 1, "{name}");
        cells[0]
    }

    pub fn numbers(&self, name: &str) -> Vec<u64> {
        let cells = self.cells(name);
        cells.chunks(2).map(|pair| u64::from(pair[0]) << 32 | u64::from(pair[1])).collect()
    }

    /// This node and all below it, each with its path.
    pub fn all(&self) -> Vec<(String, &Node)> {
        let mut found = vec![(self.name.clone(), self)];
        for child in &self.children {
            found.extend(child.all().into_iter().map(|(path, node)| (format!("{}/{path}", self.name), node)));
        }
        found
    }
}

struct Reader<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
}

impl<'a> Reader<'a> {
    fn u32(&mut self) -> u32 {
        let (value, rest) = self.structure.split_first_chunk::<4>().expect("the structure block ends");
        self.structure = rest;
        u32::from_be_bytes(*value)
    }

    fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (bytes, rest) = self.structure.split_at(length);
        let (padding, rest) = rest.split_at(length.next_multiple_of(4) - length);
        assert!(padding.iter().all(|byte| *byte == 0), "padding");
        self.structure = rest;
        bytes
    }

    fn text(from: &'a [u8]) -> &'a str {
        let end = from.iter().position(|byte| *byte == 0).expect("a text without an end");
        std::str::from_utf8(&from[..end]).unwrap()
    }

    fn node(&mut self) -> Node {
        let name = Self::text(self.structure);
        self.bytes(name.len() + 1);
        let mut node = Node { name: name.to_owned(), properties: Vec::new(), children: Vec::new() };
        let mut names = BTreeSet::new();
        loop {
            match self.u32() {
                PROP => {
                    assert!(node.children.is_empty(), "{name}: a property behind a node");
                    let (length, offset) = (self.u32() as usize, self.u32() as usize);
                    let property = Self::text(&self.strings[offset..]).to_owned();
                    assert!(names.insert(property.clone()), "{name}: two properties {property}");
                    assert!((1..=31).contains(&property.len()));
                    node.properties.push((property, self.bytes(length).to_vec()));
                }
                BEGIN_NODE => {
                    let child = self.node();
                    assert!(names.insert(child.name.clone()), "{name}: two nodes {}", child.name);
                    node.children.push(child);
                }
                END_NODE => return node,
                token => panic!("{name}: token {token}"),
            }
        }
    }
}

/// The root of a tree that fills `bytes`.
pub fn read(bytes: &[u8]) -> Node {
    let header: Vec<u32> =
        bytes[..40].as_chunks::<4>().0.iter().map(|cell| u32::from_be_bytes(*cell)).collect();
    let [
        magic,
        total,
        structure,
        strings,
        reserved,
        version,
        compatible,
        boot_cpu,
        strings_size,
        structure_size,
    ] = header[..]
    else {
        unreachable!()
    };
    assert_eq!((magic, version, compatible, boot_cpu), (0xd00d_feed, 17, 16, 0));
    assert_eq!(total as usize, bytes.len());
    assert!(reserved.is_multiple_of(8) && structure.is_multiple_of(4) && reserved >= 40);
    assert_eq!(bytes[reserved as usize..][..16], [0; 16], "no memory is reserved");
    let part = |start: u32, length: u32| &bytes[start as usize..(start + length) as usize];
    let mut reader =
        Reader { structure: part(structure, structure_size), strings: part(strings, strings_size) };
    assert_eq!(reader.u32(), BEGIN_NODE);
    let root = reader.node();
    assert_eq!(reader.u32(), END);
    assert!(reader.structure.is_empty());
    assert_eq!(root.name, "");
    // What refers to a node refers to one that there is.
    let phandles: Vec<u32> = root
        .all()
        .iter()
        .filter(|(_, node)| node.find("phandle").is_some())
        .map(|(_, node)| node.cell("phandle"))
        .collect();
    assert_eq!(phandles.iter().collect::<BTreeSet<_>>().len(), phandles.len());
    for (path, node) in root.all() {
        for name in ["interrupt-parent", "clocks"] {
            if node.find(name).is_some() {
                assert!(node.cells(name).iter().all(|phandle| phandles.contains(phandle)), "{path}: {name}");
            }
        }
        if let Some((_, address)) = node.name.split_once('@') {
            let reg = node.numbers("reg")[0];
            assert_eq!(address, format!("{reg:x}"), "{path}");
        }
    }
    root
}
