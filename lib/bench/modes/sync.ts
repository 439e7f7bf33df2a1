/** Lanes on the caller's thread: devices, typed handlers, the sliced run, and `step()`. */
import type { Device, Handlers } from '../../../index.ts';
import { DebugConsole, I8042 } from '../../../index.ts';
import { BenchGuest } from '../bench-guest.ts';
import { answer, type ExitKind, exitsPerBlock } from '../exit-kinds.ts';
import type { LaneMode } from '../lanes.ts';
import { BlockClock, sink } from './block-clock.ts';
import { blockHandlers, markerHandlers } from './handlers.ts';

type HandlersFor = (markerPort: number, clock: BlockClock) => Handlers;

/** A block by `vcpu.run()`. */
function runMode(
  name: string,
  guest: BenchGuest,
  handlersFor: HandlersFor,
  options?: { syncRegs: boolean },
): LaneMode {
  const { vcpu } = guest;
  const clock = new BlockClock(guest.event);
  const handlers = handlersFor(guest.layout.markerPort, clock);
  return {
    name,
    block() {
      const end = vcpu.run(handlers, options);
      if (end.reason !== 'stopped') throw new Error(`${name}: a block ended by ${end.reason}`);
      return clock.ns / exitsPerBlock;
    },
    close: () => guest.close(),
  };
}

/** P1: a JavaScript device has the port or address. */
export function jsDeviceMode(kind: ExitKind, name = 'js-device'): LaneMode {
  const guest = new BenchGuest(kind);
  const device: Device = {
    read: () => answer,
    write(_offset, value) {
      sink.sum += value;
    },
  };
  guest.attach(device, { posted: kind === 'coalesced' });
  return runMode(name, guest, markerHandlers);
}

/** P2: a Rust device has it. The guest writes zeros, which tell the keyboard controller nothing. */
export function rustDeviceMode(kind: ExitKind): LaneMode {
  const guest = new BenchGuest(kind);
  attachRustDevice(guest);
  return runMode('rust-device', guest, markerHandlers);
}

/** The device that answers reads at once, or the one that takes writes without keeping them. */
export function attachRustDevice(guest: BenchGuest): void {
  const reads = guest.kind === 'pioIn' || guest.kind === 'mmioRead';
  guest.attach(reads ? new DebugConsole() : new I8042(), { posted: guest.kind === 'coalesced' });
}

/** P3: typed handlers. Coalesced writes need a device to go to: a Rust one. */
export function handlersMode(kind: ExitKind, name = 'handlers'): LaneMode {
  const guest = new BenchGuest(kind);
  if (kind === 'coalesced') attachRustDevice(guest);
  return runMode(name, guest, (markerPort, clock) => blockHandlers(kind, markerPort, clock));
}

/** P4: handlers that touch registers, which come and go with the exit. */
export function registersMode(kind: ExitKind, name: string, handlersFor: HandlersFor): LaneMode {
  return runMode(name, new BenchGuest(kind), handlersFor, { syncRegs: true });
}

/** The same handlers by `runSliced()`. */
export function slicedMode(kind: ExitKind): LaneMode {
  const guest = new BenchGuest(kind);
  if (kind === 'coalesced') attachRustDevice(guest);
  const clock = new BlockClock(guest.event);
  const handlers = blockHandlers(kind, guest.layout.markerPort, clock);
  return {
    name: 'sliced',
    async block() {
      await guest.vcpu.runSliced(handlers);
      return clock.ns / exitsPerBlock;
    },
    close: () => guest.close(),
  };
}

/** `step()` in a loop: a call and a fresh object for each exit. */
export function stepMode(kind: ExitKind): LaneMode {
  const guest = new BenchGuest(kind);
  if (kind === 'coalesced') attachRustDevice(guest);
  const { vcpu } = guest;
  const clock = new BlockClock(guest.event);
  const { markerPort } = guest.layout;
  return {
    name: 'step',
    block() {
      for (;;) {
        const exit = vcpu.step();
        switch (exit.kind) {
          case 'ioOut':
            if (exit.port !== markerPort) sink.sum += exit.value;
            else if (clock.mark()) return clock.ns / exitsPerBlock;
            break;
          case 'ioIn':
          case 'mmioRead':
            exit.reply(answer);
            break;
          case 'mmioWrite':
            sink.sum += exit.value;
            break;
          case 'hlt':
            sink.sum++;
            break;
          default:
            throw new Error(`step: an exit of kind ${exit.kind}`);
        }
      }
    },
    close: () => guest.close(),
  };
}
