// The kernel inside a bzImage. Emulated processors take seconds to unpack one; this machine takes half of one.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '../shared/debian.mjs';
import { run } from '../shared/process.mjs';

// Offsets in the setup header of a bzImage (Documentation/arch/x86/boot.rst).
const SETUP_SECTS = 0x1f1;
const HEADER_MAGIC = 0x202; // "HdrS"
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

/** How each compression begins and which program undoes it; the size at the payload's end is none of its business. */
const compressions = [
  { name: 'xz', magic: 'fd377a585a00', args: ['--decompress', '--stdout', '--single-stream'] },
  { name: 'zstd', magic: '28b52ffd', args: ['--decompress', '--stdout'] },
  { name: 'gzip', magic: '1f8b08', args: ['--decompress', '--stdout'] },
];

/**
 * The compressed kernel in a bzImage and the program that unpacks it.
 * @param {Buffer} image
 * @returns {{ program: string, args: readonly string[], payload: Buffer } | undefined}
 */
export function payloadOf(image) {
  if (
    image.length < PAYLOAD_LENGTH + 4 ||
    image.toString('latin1', HEADER_MAGIC, HEADER_MAGIC + 4) !== 'HdrS'
  ) {
    return undefined;
  }
  const start = ((image[SETUP_SECTS] ?? 0) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  // The last four bytes are the size of what is packed.
  const end = start + image.readUInt32LE(PAYLOAD_LENGTH) - 4;
  if (end > image.length || end <= start) return undefined;
  const payload = image.subarray(start, end);
  const found = compressions.find(
    ({ magic }) => payload.subarray(0, magic.length / 2).toString('hex') === magic,
  );
  return found && { program: found.name, args: found.args, payload };
}

/**
 * Writes the kernel that a bzImage holds.
 * @param {string} bzImage
 * @param {string} work a folder
 * @returns {Promise<string | undefined>} its path in the folder; undefined: it cannot be unpacked here
 */
export async function unpackKernel(bzImage, work) {
  const found = payloadOf(readFileSync(bzImage));
  if (found === undefined || findProgram(found.program) === undefined) return undefined;
  const packed = join(work, 'packed');
  const plain = join(work, 'vmlinux');
  writeFileSync(packed, found.payload);
  const unpack = 'in=$1 out=$2; shift 2; exec "$@" <"$in" >"$out"';
  const words = ['-c', unpack, 'sh', packed, plain, found.program, ...found.args];
  if (!(await run('sh', words, { quiet: true })).ok) return undefined;
  return readFileSync(plain).subarray(0, 4).toString('latin1') === '\x7fELF' ? plain : undefined;
}
