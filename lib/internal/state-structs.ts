/** Structures of a vCPU that one call reads and one writes. */
import { CONTROL } from '../generated/control-page.ts';
import { EXCHANGE } from '../generated/state-kinds.ts';
import { bytes as checkBytes, object } from './check.ts';
import { decode, decodeAt, preparePatch, type Patch, type StructLayout } from './structs.ts';
import type { VcpuAccess } from './vcpu-access.ts';

/** Whether a structure fits the part of the shared pages where they change hands. */
const fits = (layout: StructLayout): boolean => layout.size <= CONTROL.exchange.size;

const request = (what: number, kind: number, { size }: StructLayout): number =>
  what | (kind << 8) | (size << 16);

/** Reads a structure, by its number in `VCPU_STATE`. */
export function readState<T>(access: VcpuAccess, layout: StructLayout<T>, kind: number): T {
  access.checkState();
  if (fits(layout)) {
    const { runner } = access;
    runner.exchange(request(EXCHANGE.GET_STATE, kind, layout));
    return decodeAt(layout, runner.view.data, runner.view.exchange);
  }
  const target = new Uint8Array(layout.size);
  access.native.getState(kind, target);
  return decode(layout, target);
}

/** Changes a structure: what the patch lacks stays. It is read and checked now, and made when the open access is complete. */
export function patchState<T>(
  access: VcpuAccess,
  layout: StructLayout<T>,
  kind: number,
  name: string,
  value: Patch<NoInfer<T>>,
): void {
  access.checkState();
  const patch = preparePatch(layout, object(name, value) as Patch<NoInfer<T>>, name);
  access.change(() => {
    if (fits(layout)) {
      const { runner } = access;
      runner.exchange(request(EXCHANGE.GET_STATE, kind, layout));
      patch(runner.view.data, runner.view.exchange);
      runner.exchange(request(EXCHANGE.SET_STATE, kind, layout));
      return;
    }
    const target = new Uint8Array(layout.size);
    access.native.getState(kind, target);
    patch(new DataView(target.buffer));
    access.native.setState(kind, target);
  });
}

/** Writes a structure that JavaScript has as bytes. */
export function writeBlob(access: VcpuAccess, kind: number, value: ArrayBufferView | ArrayBufferLike): void {
  access.checkState();
  const copy = Uint8Array.from(checkBytes('state', value));
  access.change(() => access.native.setState(kind, copy));
}
