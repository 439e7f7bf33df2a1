import { types } from 'node:util';

import { invalidArgType, invalidArgValue } from './errors.ts';

/** What public methods take as bytes: any view, or a whole buffer. */
export type BytesLike = ArrayBufferView | ArrayBufferLike;

// A subclass may shadow `buffer` or `length` with anything; these read what the engine knows.
function placeOf(prototype: object): (view: ArrayBufferView) => [ArrayBufferLike, number, number] {
  const { buffer, byteOffset, byteLength } = Object.getOwnPropertyDescriptors(prototype) as Record<
    string,
    PropertyDescriptor
  >;
  return (view) => [buffer!.get!.call(view), byteOffset!.get!.call(view), byteLength!.get!.call(view)];
}

const placeOfTypedArray = placeOf(Object.getPrototypeOf(Uint8Array.prototype) as object);
const placeOfDataView = placeOf(DataView.prototype);

/**
 * The bytes of a view or buffer, from this realm or another, as a `Uint8Array` over the same memory.
 *
 * @throws `ERR_INVALID_ARG_TYPE` if it has no bytes, `ERR_INVALID_ARG_VALUE` if its buffer is detached or has shrunk
 */
export function bytes(name: string, value: unknown): Uint8Array {
  const isView = ArrayBuffer.isView(value);
  if (!isView && !types.isAnyArrayBuffer(value)) {
    throw invalidArgType(
      name,
      'an instance of ArrayBuffer, SharedArrayBuffer, Buffer, TypedArray or DataView',
      value,
    );
  }
  try {
    // Both throw for a detached buffer, and for a view that hangs over the end of a buffer that shrank.
    if (!isView) return new Uint8Array(value);
    return new Uint8Array(...(types.isTypedArray(value) ? placeOfTypedArray(value) : placeOfDataView(value)));
  } catch (cause) {
    throw invalidArgValue(name, value, 'is detached or larger than its buffer', { cause });
  }
}

const encoder = new TextEncoder();

/** The same, or a string as UTF-8. */
export function bytesOrString(name: string, value: unknown): Uint8Array {
  return typeof value === 'string' ? encoder.encode(value) : bytes(name, value);
}
