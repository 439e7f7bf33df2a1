import type { EventFd } from '../../../kvm/event-fd.ts';
import { Cmos, DebugConsole, DebugExit, I8042, Serial } from '../../../kvm/rust-devices.ts';
import type { DeviceRequest } from '../../../kvm/rust-devices.ts';
import { hex } from '../../quantity.ts';
import type { OutputName } from '../../shared/json-lines.ts';
import { UsageError } from '../../usage-error.ts';
import type { RunPlan } from '../plan.ts';
import { PciHost } from './pci-host.ts';
import type { PortDevice, PortEntry } from './port-device.ts';

/** What the board is connected to. */
export interface BoardWires {
  /** Takes lines as they are complete, and what has no newline yet soon after. */
  readonly print: (name: OutputName, bytes: Uint8Array) => void;
  /** COM1's interrupt. */
  readonly interrupt: EventFd | undefined;
}

export interface Board {
  readonly ports: readonly PortEntry[];
  /** Where typed bytes go, if the guest has a serial port. */
  readonly serial: Serial | undefined;
  /** Whether the guest asked for its end. A device on the machine's own bus ends the run by itself instead. */
  readonly takeRequest: () => DeviceRequest | undefined;
  /** Prints what waits, and nothing more. */
  close(): void;
}

/**
 * Makes the devices that the plan wants.
 *
 * @throws UsageError when isa-debug-exit is to be where another device is
 */
export function makeBoard(plan: RunPlan, { print, interrupt }: BoardWires): Board {
  const ports: PortEntry[] = [];
  const add = (base: number, length: number, device: PortDevice): void =>
    void ports.push({ base, length, device });
  const serial = plan.serial
    ? new Serial({
        onOutput: (bytes) => print('serial', bytes),
        ...(interrupt === undefined ? {} : { interrupt }),
      })
    : undefined;
  if (serial !== undefined) add(0x3f8, 8, serial);
  const console = new DebugConsole({ onOutput: (bytes) => print('debug-console', bytes) });
  add(0x402, 1, console);
  add(0xe9, 1, console);
  const reset = new I8042();
  add(0x60, 5, reset);
  if (plan.firmware !== undefined) {
    add(0x70, 2, new Cmos({ memorySize: plan.memory }));
    add(0xcf8, 8, new PciHost());
  }
  const debugExit = plan.debugExit === undefined ? undefined : new DebugExit();
  if (plan.debugExit !== undefined && debugExit !== undefined) {
    checkFree(ports, plan.debugExit);
    add(plan.debugExit, debugExitPorts, debugExit);
  }
  return {
    ports,
    serial,
    takeRequest: () => debugExit?.takeRequest() ?? reset.takeRequest(),
    close: () => {
      serial?.close();
      console.close();
    },
  };
}

const debugExitPorts = 4;

function checkFree(ports: readonly PortEntry[], port: number): void {
  const taken = ports.find(({ base, length }) => port < base + length && base < port + debugExitPorts);
  if (taken === undefined) return;
  throw new UsageError(
    `--debug-exit: at ${hex(taken.base, 4)} there is another device, and this one takes four ports from ${hex(port, 4)}`,
  );
}
