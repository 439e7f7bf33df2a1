import type { Exit } from '../../../kvm/exits.ts';
import type { Handlers } from '../../../kvm/handlers.ts';
import type { Vcpu } from '../../../kvm/vcpu.ts';
import type { PortEntry } from './port-device.ts';

/** Sees each exit after it was answered: the exit as plain data, and for a read the bytes that the guest was given. */
export type Observer = (exit: Exit, answer: Uint8Array | undefined, vcpu: Vcpu) => void;

export interface TracedHandlerOptions {
  readonly ports: readonly PortEntry[];
  readonly observe: Observer;
  /** Whether the exit that was just served is to be the last. */
  readonly ended: () => boolean;
}

/**
 * Handlers for a machine whose devices are on its own bus. Ports and addresses that nothing answers read as all ones
 * and drop writes, and the guest goes on.
 */
export const emptyBus: Handlers = {
  ioIn: () => {},
  ioOut: () => {},
  mmioRead: () => {},
  mmioWrite: () => {},
};

/**
 * Handlers that serve the ports themselves, for a machine without devices on its bus: so they see each exit as it is,
 * string I/O whole, where a device would see its elements. The guest finds the same as with {@link emptyBus}.
 */
export function tracedHandlers({ ports, observe, ended }: TracedHandlerOptions): Handlers {
  return {
    ioIn: (exit, vcpu) => {
      const { port, size, count } = exit;
      const entry = find(ports, port, size);
      const answer = new Uint8Array(size * count).fill(0xff);
      if (entry !== undefined) {
        for (let at = 0; at < answer.length; at += size) {
          setElement(answer, at, size, entry.device.read(port - entry.base, size));
        }
      }
      observe(exit.toJSON(), answer, vcpu);
      if (ended()) exit.stop();
      return answer;
    },
    ioOut: (exit, vcpu) => {
      const { port, size, count } = exit;
      const entry = find(ports, port, size);
      if (entry !== undefined) {
        if (count === 1) entry.device.write(port - entry.base, exit.value, size);
        else writeElements(entry, port, size, exit.data);
      }
      observe(exit.toJSON(), undefined, vcpu);
      if (ended()) exit.stop();
    },
    mmioRead: (exit, vcpu) => {
      observe(exit.toJSON(), new Uint8Array(exit.size).fill(0xff), vcpu);
      if (ended()) exit.stop();
    },
    mmioWrite: (exit, vcpu) => {
      observe(exit.toJSON(), undefined, vcpu);
      if (ended()) exit.stop();
    },
  };
}

/** The device that answers the whole access. */
function find(ports: readonly PortEntry[], port: number, size: number): PortEntry | undefined {
  return ports.find(({ base, length }) => port >= base && port + size <= base + length);
}

function writeElements({ base, device }: PortEntry, port: number, size: number, data: Uint8Array): void {
  for (let at = 0; at < data.length; at += size) {
    let value = 0;
    for (let index = size - 1; index >= 0; index--) value = value * 256 + data[at + index]!;
    device.write(port - base, value, size);
  }
}

/** One little-endian element of 1, 2 or 4 bytes. */
function setElement(data: Uint8Array, at: number, size: number, value: number): void {
  for (let index = 0; index < size; index++) data[at + index] = value >>> (8 * index);
}
