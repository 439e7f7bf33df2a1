// What an ELF file says about itself: for which machine it is, what it needs, what it offers. Only 64-bit little-endian
// files, which is what all targets use.

/**
 * @typedef {object} ElfFacts
 * @property {number} machine e_machine
 * @property {number} type e_type: 2 a program, 3 a shared object
 * @property {string[]} needed the libraries that the loader brings (DT_NEEDED)
 * @property {string[]} runPaths where it would look for them first (DT_RPATH, DT_RUNPATH)
 * @property {string[]} versions of symbols that it needs, such as GLIBC_2.17
 * @property {string[]} exports names that it defines for others
 * @property {string[]} imports names that it needs, without those that may be missing (weak)
 * @property {boolean} symbols it still has its table of symbols: it is not stripped
 * @property {boolean} executableStack a stack that can be executed, which no program should ask for
 */

const sectionTypes = { symtab: 2, strtab: 3, dynamic: 6, dynsym: 11, versionNeeds: 0x6ffffffe };
const tags = { needed: 1, rpath: 15, runPath: 29 };
const gnuStack = 0x6474e551;

/** @typedef {{ type: number, offset: number, size: number, link: number, entrySize: number, info: number }} Section */

/**
 * @param {Buffer} file
 * @param {bigint | number} value
 */
function within(file, value) {
  const number = Number(value);
  if (number > file.length) throw new Error('the ELF file is cut off');
  return number;
}

/**
 * @param {Buffer} file
 * @param {number} at
 */
function textAt(file, at) {
  const end = file.indexOf(0, within(file, at));
  return file.toString('latin1', at, end < 0 ? file.length : end);
}

/**
 * @param {Buffer} file
 * @returns {Section[]}
 */
function sectionsOf(file) {
  const start = within(file, file.readBigUInt64LE(0x28));
  const [size, count] = [file.readUInt16LE(0x3a), file.readUInt16LE(0x3c)];
  return Array.from({ length: count }, (_, index) => {
    const at = within(file, start + index * size);
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      size: Number(file.readBigUInt64LE(at + 0x20)),
      link: file.readUInt32LE(at + 0x28),
      info: file.readUInt32LE(at + 0x2c),
      entrySize: Number(file.readBigUInt64LE(at + 0x38)),
    };
  });
}

/** @param {Buffer} file */
function hasExecutableStack(file) {
  const start = within(file, file.readBigUInt64LE(0x20));
  const [size, count] = [file.readUInt16LE(0x36), file.readUInt16LE(0x38)];
  for (let index = 0; index < count; index++) {
    const at = start + index * size;
    if (file.readUInt32LE(at) === gnuStack) return (file.readUInt32LE(at + 4) & 1) !== 0;
  }
  return true;
}

/**
 * The versions that a section of version needs names (Elf64_Verneed, Elf64_Vernaux).
 * @param {Buffer} file
 * @param {Section} section
 * @param {number} strings
 */
function versionsIn(file, section, strings) {
  /** @type {string[]} */
  const found = [];
  let at = section.offset;
  for (let left = section.info; left > 0; left--) {
    let entry = at + file.readUInt32LE(at + 8);
    for (let names = file.readUInt16LE(at + 2); names > 0; names--) {
      found.push(textAt(file, strings + file.readUInt32LE(entry + 8)));
      entry += file.readUInt32LE(entry + 12);
    }
    at += file.readUInt32LE(at + 12);
  }
  return found;
}

/**
 * @param {Buffer} file
 * @returns {ElfFacts}
 * @throws where it is no 64-bit little-endian ELF file, or is cut off
 */
export function readElf(file) {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46) throw new Error('this is no ELF file');
  if (file[4] !== 2 || file[5] !== 1) throw new Error('this is no 64-bit little-endian ELF file');
  const sections = sectionsOf(file);
  const stringsOf = (/** @type {Section} */ section) => sections[section.link]?.offset ?? 0;
  /** @type {ElfFacts} */
  const facts = {
    machine: file.readUInt16LE(0x12),
    type: file.readUInt16LE(0x10),
    needed: [],
    runPaths: [],
    versions: [],
    exports: [],
    imports: [],
    symbols: sections.some(({ type }) => type === sectionTypes.symtab),
    executableStack: hasExecutableStack(file),
  };
  for (const section of sections) {
    const strings = stringsOf(section);
    if (section.type === sectionTypes.dynamic) {
      for (let at = section.offset; at < section.offset + section.size; at += 16) {
        const tag = Number(file.readBigInt64LE(at));
        const value = Number(file.readBigUInt64LE(at + 8));
        if (tag === tags.needed) facts.needed.push(textAt(file, strings + value));
        if (tag === tags.rpath || tag === tags.runPath) facts.runPaths.push(textAt(file, strings + value));
      }
    } else if (section.type === sectionTypes.versionNeeds) {
      facts.versions.push(...versionsIn(file, section, strings));
    } else if (section.type === sectionTypes.dynsym) {
      for (let at = section.offset + 24; at < section.offset + section.size; at += 24) {
        const name = textAt(file, strings + file.readUInt32LE(at));
        const binding = (file[at + 4] ?? 0) >> 4;
        const weak = binding === 2;
        if (file.readUInt16LE(at + 6) !== 0) {
          if (binding !== 0) facts.exports.push(name);
        } else if (!weak) facts.imports.push(name);
      }
    }
  }
  facts.versions = [...new Set(facts.versions)].toSorted(compareVersions);
  return facts;
}

/**
 * Orders names like GLIBC_2.9 and GLIBC_2.17 by their numbers.
 * @param {string} a
 * @param {string} b
 */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (let index = 0; index < Math.max(left?.length ?? 0, right?.length ?? 0); index++) {
    const difference = (left?.[index] ?? 0) - (right?.[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : Number(a > b);
}
