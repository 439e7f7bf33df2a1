/** One register by its id: its size is part of the id, its value a bigint of that size. */
import { integer } from './check.ts';
import { invalidArgType, outOfRange } from './errors.ts';
import type { VcpuAccess } from './vcpu-access.ts';

const SIZE_SHIFT = 52n;
const SIZE_MASK = 0x00f0_0000_0000_0000n;
/** Larger than any register is: 2048 bits, an SVE vector. */
const LARGEST = 256;

/** The size of a register in bytes (`KVM_REG_SIZE_MASK`). */
function registerSize(id: bigint): number {
  const size = 2 ** Number((id & SIZE_MASK) >> SIZE_SHIFT);
  if (size > LARGEST) throw outOfRange('id', `the id of a register of at most ${LARGEST} bytes`, id);
  return size;
}

/** Reads it (`KVM_GET_ONE_REG`). */
export function readOneReg(access: VcpuAccess, id: bigint): bigint {
  access.checkState();
  const target = new Uint8Array(registerSize(id));
  access.native.getOneReg(id, target);
  return target.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

/**
 * Writes it (`KVM_SET_ONE_REG`); `name` is what messages call the value. With a `width` only so many bytes of it are
 * written, the low ones.
 */
export function writeOneReg(
  access: VcpuAccess,
  id: bigint,
  name: string,
  value: unknown,
  width?: number,
): void {
  access.checkState();
  const size = registerSize(id);
  const bytes = bytesOf(name, value, width ?? size);
  access.change(() => {
    const whole = bytes.length === size ? bytes : new Uint8Array(size);
    if (whole !== bytes) {
      access.native.getOneReg(id, whole);
      whole.set(bytes);
    }
    access.native.setOneReg(id, whole);
  });
}

function bytesOf(name: string, value: unknown, size: number): Uint8Array {
  if (typeof value !== 'number' && typeof value !== 'bigint') {
    throw invalidArgType(name, 'of type bigint or number', value);
  }
  let rest = typeof value === 'bigint' ? value : BigInt(integer(name, value, 0));
  if (rest < 0n || rest >> BigInt(size * 8) !== 0n) {
    throw outOfRange(name, `>= 0n && < 2n ** ${size * 8}n`, value);
  }
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at++, rest >>= 8n) bytes[at] = Number(rest & 0xffn);
  return bytes;
}
