// What the compiler must say about machines. Never run: compiled by the type check.
import {
  Machine,
  MachineConsole,
  type MachineConfig,
  type MachineExit,
  type MachineState,
  type Placed,
  type Vm,
} from '../../index.ts';

declare const machine: Machine;
declare const exit: MachineExit;

// @ts-expect-error machines are made by Machine.create()
export const noMachine = new Machine();
// @ts-expect-error consoles belong to machines
export const noConsole = new MachineConsole();

export const made: Promise<Machine> = Machine.create();
export const config: MachineConfig = {
  cpus: 2,
  memory: '512MiB',
  kernel: new URL('https://example.com/vmlinux'),
  initrd: new SharedArrayBuffer(1),
  modules: [{ image: new DataView(new ArrayBuffer(1)), cmdline: 'x' }],
  debugConsole: 0x402,
  devices: [{ device: {}, io: { base: 1, length: 1 }, interrupt: 5 }],
  onReset: 'restart',
  signal: AbortSignal.abort(),
};
// @ts-expect-error no such option
void Machine.create({ cpu: 2 });
// @ts-expect-error a number of vCPUs is a number
void Machine.create({ cpus: '2' });
// @ts-expect-error no such protocol
void Machine.create({ protocol: 'linux32' });
// @ts-expect-error no such mode
void Machine.create({ protocol: 'flat', flat: { mode: 'virtual' } });
// @ts-expect-error a kernel is a path, a URL or bytes
void Machine.create({ kernel: 1 });
// @ts-expect-error a device is needed
void Machine.create({ devices: [{ io: { base: 1, length: 1 } }] });

export const state: MachineState = machine.state;
export const placed: readonly Placed[] = machine.placed;
export const vm: Vm = machine.vm;
export const time: number | undefined = machine.bootTime;
export const second: MachineConsole | undefined = machine.console2;
// @ts-expect-error without the option there is none
machine.console2.write('x');
// @ts-expect-error the state is told, not set
machine.state = 'running';
machine.interrupt(5).raise();
// @ts-expect-error a level is needed
machine.interrupt(5).set();
machine.on('exited', (told) => told.consoleTail.length);
// @ts-expect-error no such event
machine.on('started', () => undefined);
machine.unref().ref();

// The reason tells what else there is.
if (exit.reason === 'panic') exit.message satisfies string | undefined;
if (exit.reason === 'tripleFault') exit.vcpu satisfies number;
if (exit.reason === 'exit') exit.code satisfies number;
if (exit.reason === 'error') exit.error satisfies Error;
// @ts-expect-error only an error has one
export const noError = exit.error;
export const tail: string = exit.consoleTail;
