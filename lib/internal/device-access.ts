/** One access to a JavaScript device, as hardware would make it: sizes over 4 bytes split where they must be. */
import type { Device } from '../devices/device.ts';
import { property } from './check.ts';
import { invalidArgType, outOfRange } from './errors.ts';

/**
 * Whether a value has to be awaited.
 *
 * @throws `ERR_INVALID_ARG_VALUE` for one that throws when it is looked at
 */
export function isThenable<T>(value: T | PromiseLike<T>): value is Promise<T> {
  return (
    typeof value === 'object' && value !== null && typeof property('answer', value, 'then') === 'function'
  );
}

/** Checks what a device's `read` returned. */
export function checkRead(value: unknown, size: number): number {
  if (typeof value !== 'number')
    throw invalidArgType('the value that read() returned', 'of type number', value);
  const limit = size >= 4 ? 0xffff_ffff : (1 << (size << 3)) - 1;
  if (value >>> 0 !== value || value > limit) {
    throw outOfRange('the value that read() returned', `an integer >= 0 && <= ${limit}`, value);
  }
  return value;
}

function checkRead64(value: unknown, size: number): bigint {
  if (typeof value !== 'bigint')
    throw invalidArgType('the value that read64() returned', 'of type bigint', value);
  if (value < 0n || value >> BigInt(size * 8) !== 0n) {
    throw outOfRange('the value that read64() returned', `>= 0n && < 2n ** ${size * 8}n`, value);
  }
  return value;
}

function ones(size: number): bigint {
  return (1n << BigInt(size * 8)) - 1n;
}

/** Reads 1 to 8 bytes of a device. */
export function readDevice(device: Device, offset: number, size: number): bigint | Promise<bigint> {
  if (size > 4 && device.read64 !== undefined) {
    const value = device.read64(offset);
    return isThenable(value) ? value.then((late) => checkRead64(late, size)) : checkRead64(value, size);
  }
  if (device.read === undefined) return ones(size);
  if (size <= 4) {
    const value = device.read(offset, size);
    if (isThenable(value)) return value.then((late) => BigInt(checkRead(late, size)));
    return BigInt(checkRead(value, size));
  }
  const low = readDevice({ read: device.read.bind(device) }, offset, 4);
  const high = (): bigint | Promise<bigint> =>
    readDevice({ read: device.read!.bind(device) }, offset + 4, size - 4);
  if (!isThenable(low)) {
    const value = high();
    return isThenable(value) ? value.then((late) => low | (late << 32n)) : low | (value << 32n);
  }
  return low.then(async (first) => first | ((await high()) << 32n));
}

/** Writes 1 to 8 bytes to a device. */
export function writeDevice(
  device: Device,
  offset: number,
  size: number,
  value: bigint,
): void | Promise<void> {
  const whole = BigInt.asUintN(size * 8, value);
  if (size > 4 && device.write64 !== undefined) return device.write64(offset, whole);
  if (device.write === undefined) return undefined;
  if (size <= 4) return device.write(offset, Number(whole), size);
  const low = device.write(offset, Number(whole & 0xffff_ffffn), 4);
  const high = (): void | Promise<void> => device.write!(offset + 4, Number(whole >> 32n), size - 4);
  return isThenable<void>(low) ? low.then(high) : high();
}
