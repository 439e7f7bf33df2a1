/**
 * What this isolate owns across virtual machines: its JavaScript devices by route number, the Rust devices whose
 * output it listens to, and the background runs that it serves. `look()` attends to whatever waits.
 */
import type { Device } from '../devices/device.ts';
import { isThenable, readDevice, writeDevice } from './device-access.ts';
import { NOBODY, isolateFunctions, native, setWakeHandler, type NativeAccess } from './native.ts';

/** A run on the background lane that wants its handlers. */
export interface BackgroundServer {
  /** Serves the exit that the vCPU waits with. */
  serve(status: number): void;
}

/** A Rust device with output that somebody listens to. */
export interface Listener {
  drain(): void;
}

/** How long one wake-up may serve background runs before the event loop gets its turn. */
const SERVE_MS = 2;

const devices: (Device | undefined)[] = [];
const freeRoutes: number[] = [];
const listeners = new Set<Listener>();
const servers = new Map<number, BackgroundServer>();
let held = 0;

setWakeHandler(wake);

/** Enters a device and returns its route. */
export function addDevice(device: Device): number {
  const route = freeRoutes.pop() ?? devices.length;
  devices[route] = device;
  return route;
}

/** Forgets a device: it is not called any more. Its route is used again when no thread can mean it by that. */
export function forgetDevice(route: number): void {
  devices[route] = undefined;
}

/** The device of a route. */
export function deviceAt(route: number): Device | undefined {
  return devices[route];
}

export function addListener(listener: Listener): void {
  listeners.add(listener);
}

export function removeListener(listener: Listener): void {
  listeners.delete(listener);
}

/** Enters a background run; the event loop stays alive while there is one that is not unreferenced. */
export function addServer(number: number, server: BackgroundServer): void {
  servers.set(number, server);
}

export function removeServer(number: number): void {
  servers.delete(number);
}

/** Keeps the event loop alive, until {@link releaseLoop}. */
export function holdLoop(): void {
  if (held++ === 0) native().holdLoop(true);
}

export function releaseLoop(): void {
  if (--held === 0) native().holdLoop(false);
}

/** Attends to what waits for this isolate: output, accesses from other threads, background runs. */
export function look(): void {
  if (isolateFunctions().pending() === 0) return;
  try {
    lookAtAll();
  } catch (error) {
    // A listener or device of somebody's threw. What waits behind it waits no longer than that.
    setImmediate(wake);
    throw error;
  }
}

function lookAtAll(): void {
  // Devices that were detached, and those of machines that are gone.
  for (const route of native().beginLook() ?? []) {
    forgetDevice(route);
    freeRoutes.push(route);
  }
  for (const listener of listeners) listener.drain();
  for (let access = native().nextAccess(); access !== null; access = native().nextAccess())
    serveAccess(access);
  const { nextReady } = isolateFunctions();
  for (let ready = nextReady(); ready !== NOBODY; ready = nextReady()) serveReady(ready);
}

/** Called on the event loop when another thread has something. */
function wake(): void {
  look();
  // A vCPU that was just answered is often back within microseconds: it is cheaper to wait for it here than
  // to go back to sleep. The time is bounded, so that timers and I/O get their turn.
  const until = performance.now() + SERVE_MS;
  const { awaitReady } = isolateFunctions();
  for (let ready = awaitReady(); ready !== NOBODY; ready = awaitReady()) {
    serveReady(ready);
    if (performance.now() > until) {
      setImmediate(wake);
      return;
    }
  }
  look();
}

function serveReady(ready: number): void {
  servers.get(ready >>> 12)?.serve(ready & 0xfff);
}

function serveAccess(access: NativeAccess): void {
  const device = devices[access.route];
  const value = BigInt(access.low) | (BigInt(access.high) << 32n);
  const answer = (result: bigint): void =>
    access.answer(Number(result & 0xffff_ffffn), Number((result >> 32n) & 0xffff_ffffn));
  const allOnes = 2n ** 64n - 1n;
  if (device === undefined) {
    answer(allOnes);
    return;
  }
  // Answered even if the device throws: the vCPU of another thread waits, and it is not its mistake.
  let result: bigint | Promise<bigint> = allOnes;
  try {
    if (access.write) {
      const written = writeDevice(device, access.offset, access.size, value);
      result = isThenable(written) ? written.then(() => allOnes) : allOnes;
    } else {
      result = readDevice(device, access.offset, access.size);
    }
  } finally {
    if (!isThenable(result)) answer(result);
  }
  if (isThenable(result)) {
    result.then(answer, (error: unknown) => {
      answer(allOnes);
      throw error;
    });
  }
}
