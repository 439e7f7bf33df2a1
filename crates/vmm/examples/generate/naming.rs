//! How names and texts of Rust are written in TypeScript.

/// `apic_base` → `apicBase`; a trailing underscore, Rust's way round its keywords, goes.
pub fn camel(name: &str) -> String {
    let mut out = String::new();
    for (index, word) in name.split('_').filter(|word| !word.is_empty()).enumerate() {
        if index == 0 {
            out.push_str(word);
        } else {
            out.push_str(&capitalised(word));
        }
    }
    out
}

/// `regs` → `Regs`.
pub fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// `MmioRead` → `mmioRead`.
pub fn uncapitalised(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_ascii_lowercase() + rest
}

/// A string literal as prettier writes it.
pub fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\");
    if text.contains('\'') && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "\\'"))
    }
}
