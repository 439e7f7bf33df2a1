// arm64's kernel as boot loaders take it, an Image. Distributions ship it plain, packed by gzip, or inside of an EFI
// program that unpacks it, which needs firmware that a machine without one has not.
import { packed } from '../shared/unpack.mjs';

// Documentation/arch/arm64/booting.rst.
const MAGIC = 56; // "ARM\x64"
// drivers/firmware/efi/libstub/zboot-header.S.
const ZBOOT_MAGIC = 4; // "zimg"
const ZBOOT_OFFSET = 8;
const ZBOOT_SIZE = 12;

/**
 * Whether these bytes are an Image as it is.
 * @param {Buffer} bytes
 */
export function isPlainImage(bytes) {
  return bytes.toString('latin1', MAGIC, MAGIC + 4) === 'ARM\x64';
}

/**
 * The packed Image in a file, and the program that unpacks it.
 * @param {Buffer} bytes
 * @returns {import('../shared/unpack.mjs').Packed | undefined} undefined: there is none, or none that is known here
 */
export function packedImage(bytes) {
  if (bytes.length < ZBOOT_SIZE + 4 || bytes.toString('latin1', ZBOOT_MAGIC, ZBOOT_MAGIC + 4) !== 'zimg') {
    return packed(bytes);
  }
  const start = bytes.readUInt32LE(ZBOOT_OFFSET);
  const end = start + bytes.readUInt32LE(ZBOOT_SIZE);
  return end > bytes.length ? undefined : packed(bytes.subarray(start, end));
}
