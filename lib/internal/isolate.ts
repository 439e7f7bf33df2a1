/**
 * What this isolate owns across virtual machines: its JavaScript devices by route number, the Rust devices whose
 * output it listens to, and the background runs that it serves. `look()` attends to whatever waits.
 */
import type { Device } from '../devices/device.ts';
import { isThenable, readDevice, writeDevice } from './device-access.ts';
import { NOBODY, isolateFunctions, native, setLoadHandler, type NativeAccess } from './native.ts';

/** A run on the background lane that wants its handlers. */
export interface BackgroundServer {
  /** Serves the exit that the vCPU waits with. */
  serve(status: number): void;
}

/** A Rust device with output that somebody listens to. */
export interface Listener {
  drain(): void;
}

/** How long guests may be served before the event loop gets its turn. */
const SERVE_MS = 2;

/** What there is one of in an isolate, whatever number of copies this module has there. */
class State {
  readonly devices: (Device | undefined)[] = [];
  readonly freeRoutes: number[] = [];
  readonly listeners = new Set<Listener>();
  readonly servers = new Map<number, BackgroundServer>();
  /** How many runs keep the event loop alive. */
  held = 0;
}

let state = new State();
// A variable of its own: this one is looked into at each exit to a device.
let { devices } = state;

setLoadHandler<State>((shared) => {
  state = shared.state ??= state;
  devices = state.devices;
  shared.wake = wake;
});

/** Enters a device and returns its route. */
export function addDevice(device: Device): number {
  const route = state.freeRoutes.pop() ?? devices.length;
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
  state.listeners.add(listener);
}

export function removeListener(listener: Listener): void {
  state.listeners.delete(listener);
}

/** Enters a background run; the event loop stays alive while there is one that is not unreferenced. */
export function addServer(number: number, server: BackgroundServer): void {
  state.servers.set(number, server);
}

export function removeServer(number: number): void {
  state.servers.delete(number);
}

/** Keeps the event loop alive, until {@link releaseLoop}. */
export function holdLoop(): void {
  if (state.held++ === 0) native().holdLoop(true);
}

export function releaseLoop(): void {
  if (--state.held === 0) native().holdLoop(false);
}

/** Whether the last look left something, or a listener or device of somebody's threw in it. */
let unfinished = false;

/** Attends to what waits for this isolate: output, accesses from other threads, background runs. */
export function look(): void {
  if (!unfinished && isolateFunctions().pending() === 0) return;
  unfinished = true;
  try {
    unfinished = !lookAtAll(performance.now() + SERVE_MS);
  } finally {
    // What waits behind an error waits no longer than that.
    if (unfinished) wakeLater();
  }
}

/** The same for who has just been told whether anything waits, so that nobody has to ask. */
export function lookIf(waiting: boolean): void {
  if (unfinished || waiting) look();
}

/** Whether that was all. A guest that got its answer may be back at once: it must not keep this isolate for itself. */
function lookAtAll(until: number): boolean {
  // Devices that were detached, and those of machines that are gone.
  for (const route of native().beginLook() ?? []) {
    forgetDevice(route);
    state.freeRoutes.push(route);
  }
  for (const listener of state.listeners) listener.drain();
  for (let access = native().nextAccess(); access !== null; access = native().nextAccess()) {
    serveAccess(access);
    if (performance.now() > until) return false;
  }
  const { nextReady } = isolateFunctions();
  for (let ready = nextReady(); ready !== NOBODY; ready = nextReady()) {
    serveReady(ready);
    if (performance.now() > until) return false;
  }
  return true;
}

/** When the guests' part of the present turn of the event loop is over; 0 before they had any of it. */
let turnEnds = 0;

/**
 * Called on the event loop when another thread has something. While one such call works, the next may be asked for, and
 * Node makes up to a thousand of them in one turn: all together get no more than their part of it.
 */
function wake(): void {
  const now = performance.now();
  if (turnEnds === 0) {
    turnEnds = now + SERVE_MS;
    unlessHeld(setImmediate(endTurn));
  } else if (now > turnEnds) {
    wakeLater();
    return;
  }
  look();
  // A vCPU that was just answered is often back within microseconds: it is cheaper to wait for it here than
  // to go back to sleep. The time is bounded, so that timers and I/O get their turn.
  const { awaitReady } = isolateFunctions();
  for (let ready = awaitReady(); ready !== NOBODY; ready = awaitReady()) {
    serveReady(ready);
    if (performance.now() > turnEnds) {
      wakeLater();
      return;
    }
  }
  look();
}

function endTurn(): void {
  turnEnds = 0;
}

/** Whether a wake-up is on its way that nobody asked for. */
let isComing = false;

function wakeLater(): void {
  if (isComing) return;
  isComing = true;
  unlessHeld(
    setImmediate(() => {
      isComing = false;
      wake();
    }),
  );
}

/** Runs that keep no process alive do not do so by their wake-ups either. */
function unlessHeld(soon: NodeJS.Immediate): void {
  if (state.held === 0) soon.unref();
}

function serveReady(ready: number): void {
  state.servers.get(ready >>> 12)?.serve(ready & 0xfff);
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
