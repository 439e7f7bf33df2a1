// The kernel inside a bzImage. Emulated processors take seconds to unpack one; this machine takes half of one.
import { readFileSync } from 'node:fs';
import { packed, unpack } from '../shared/unpack.mjs';

// Offsets in the setup header of a bzImage (Documentation/arch/x86/boot.rst).
const SETUP_SECTS = 0x1f1;
const HEADER_MAGIC = 0x202; // "HdrS"
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;

/**
 * The compressed kernel in a bzImage and the program that unpacks it.
 * @param {Buffer} image
 */
export function payloadOf(image) {
  if (
    image.length < PAYLOAD_LENGTH + 4 ||
    image.toString('latin1', HEADER_MAGIC, HEADER_MAGIC + 4) !== 'HdrS'
  ) {
    return undefined;
  }
  const start = ((image[SETUP_SECTS] ?? 0) + 1) * 512 + image.readUInt32LE(PAYLOAD_OFFSET);
  // The last four bytes are the size of what is packed, which is none of the program's business.
  const end = start + image.readUInt32LE(PAYLOAD_LENGTH) - 4;
  return end > image.length || end <= start ? undefined : packed(image.subarray(start, end));
}

/**
 * Writes the kernel that a bzImage holds.
 * @param {string} bzImage
 * @param {string} work a folder
 * @returns {Promise<string | undefined>} its path in the folder; undefined: it cannot be unpacked here
 */
export async function unpackKernel(bzImage, work) {
  const found = payloadOf(readFileSync(bzImage));
  return found && unpack(found, work, (bytes) => bytes.toString('latin1', 0, 4) === '\x7fELF');
}
