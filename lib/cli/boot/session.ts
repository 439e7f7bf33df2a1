import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import type { MachineConsole } from '../../machine/console.ts';
import { Machine } from '../../machine/machine.ts';
import { ExitCode } from '../exit-codes.ts';
import { stoppedEnding } from '../shared/ending.ts';
import type { EscapeKeys } from '../shared/escape.ts';
import { KeyboardInput } from '../shared/input.ts';
import type { OutputName } from '../shared/json-lines.ts';
import { noLinuxWarning } from '../shared/linux-guests.ts';
import { StopSwitch } from '../shared/stop-switch.ts';
import { writeUnblocked } from '../shared/unblocked.ts';
import { UsageError } from '../usage-error.ts';
import { bootEnding, isHopeless } from './ending.ts';
import { optionError } from './option-error.ts';
import type { BootPlan } from './plan.ts';
import { JsonBootReporter, TextBootReporter } from './reporter.ts';
import type { BootReporter } from './reporter.ts';
import { sizeCommand, terminalSize } from './terminal-size.ts';

/** A console is a terminal of the guest's: Ctrl-C is for its programs. */
const keys: EscapeKeys = { ctrlC: 'typed', commands: { x: 'quit', r: 'resize' } };

/** What Linux's terminals take for the end of what is typed. */
const EOT = Uint8Array.of(0x04);

/** How long a reader of our output may be behind once we were told to stop, in milliseconds. */
const patienceMs = 1000;

/**
 * Boots a machine, and joins it to the terminal until it ends.
 *
 * @returns the exit status
 * @throws UsageError, KvmError when the machine cannot be made
 */
export async function runBoot(plan: BootPlan): Promise<number> {
  const { stdout, stderr } = process;
  writeUnblocked(stdout, stderr);
  const reporter = plan.json ? new JsonBootReporter(stdout) : new TextBootReporter(stdout, stderr, plan);
  const stop = new StopSwitch();
  const timeout = () => stop.stop(stoppedEnding('timeout'));
  const timer = plan.timeoutMs === undefined ? undefined : setTimeout(timeout, plan.timeoutMs);
  try {
    const machine = await makeMachine(plan, stop);
    // What was told to stop before there was anything to stop.
    if (machine === undefined) {
      const end = stop.ending ?? stoppedEnding('quit');
      reporter.end(end, { ms: 0, bootTimeMs: undefined });
      return end.exitCode;
    }
    try {
      return await runMachine(machine, plan, { stop, reporter });
    } finally {
      await machine[Symbol.asyncDispose]();
    }
  } finally {
    clearTimeout(timer);
    stop.close();
  }
}

async function makeMachine(plan: BootPlan, stop: StopSwitch): Promise<Machine | undefined> {
  try {
    return await Machine.create({ ...plan.config, signal: stop.signal });
  } catch (error) {
    if (stop.ending !== undefined) return undefined;
    throw optionError(error);
  }
}

interface Session {
  readonly stop: StopSwitch;
  readonly reporter: BootReporter;
}

async function runMachine(machine: Machine, plan: BootPlan, { stop, reporter }: Session): Promise<number> {
  const hopeless = isHopeless(machine.protocol);
  if (hopeless) reporter.warning(noLinuxWarning);
  const file = plan.console2 === undefined ? undefined : await openFile(plan.console2);
  const outputs = [
    pump(machine.console, 'serial', reporter),
    ...(machine.debugConsole === undefined ? [] : [pump(machine.debugConsole, 'debug-console', reporter)]),
    ...(file === undefined ? [] : [keep(machine.console2!, file, stop)]),
  ];
  const restore = (): void => reporter.restore();
  process.once('exit', restore);
  const keyboard = listen(machine.console, plan, { stop, reporter });
  try {
    const start = performance.now();
    await machine.start();
    const exit = await machine.exited;
    const ms = performance.now() - start;
    const end = (exit.reason === 'killed' ? stop.ending : undefined) ?? bootEnding(exit, hopeless);
    const complete = await flush(outputs, stop);
    // The terminal is itself again before anything is said about the end.
    keyboard.stop();
    restore();
    reporter.end(end, { ms, bootTimeMs: machine.bootTime });
    // Node would wait for a reader that never comes.
    if (!complete) process.exit(end.exitCode === ExitCode.ok ? stop.ending?.exitCode : end.exitCode);
    return end.exitCode;
  } finally {
    keyboard.stop();
    process.off('exit', restore);
  }
}

/** Prints what the guest does, as fast as it is read: a guest that prints faster waits. Settles at the end. */
function pump(stream: Readable, name: OutputName, reporter: BootReporter): Promise<void> {
  stream.on('data', (bytes: Uint8Array) => {
    if (reporter.output(name, bytes) !== false) return;
    stream.pause();
    process.stdout.once('drain', () => stream.resume());
  });
  return finished(stream, { writable: false });
}

/** Opens the file for the second port's output. */
async function openFile(path: string): Promise<FileHandle> {
  return open(path, 'w').catch((error: Error) => {
    throw new UsageError(`--console2: ${error.message}`);
  });
}

/** Writes what the guest prints on its second port into a file. */
function keep(console2: Readable, file: FileHandle, stop: StopSwitch): Promise<void> {
  return pipeline(console2, file.createWriteStream()).catch((error: Error) =>
    stop.stop({
      reason: 'error',
      message: `--console2: ${error.message}`,
      exitCode: ExitCode.guestFailed,
      failed: true,
    }),
  );
}

/** Waits until all that was printed is where it belongs. False: we were told to stop, and nobody takes it. */
async function flush(outputs: readonly Promise<void>[], stop: StopSwitch): Promise<boolean> {
  const flushed = Promise.all(outputs).then(
    () => new Promise<true>((resolve) => process.stdout.write('', () => resolve(true))),
  );
  const settled = new AbortController();
  const told = new Promise<void>((resolve) => {
    if (stop.signal.aborted) resolve();
    else stop.signal.addEventListener('abort', () => resolve(), { once: true, signal: settled.signal });
  });
  const impatient = told.then(() => sleep(patienceMs, false, { signal: settled.signal, ref: true }));
  // It is ended by force when it is no longer needed.
  impatient.catch(() => undefined);
  try {
    return await Promise.race([flushed, impatient]);
  } finally {
    settled.abort();
  }
}

/** Connects standard input to the console. */
function listen(console: MachineConsole, plan: BootPlan, { stop, reporter }: Session): KeyboardInput {
  const { stdin, stdout } = process;
  const resize = (): void => {
    const size = terminalSize(stdin, stdout);
    if (size === undefined) reporter.hint('standard output is no terminal: it has no size');
    else console.write(sizeCommand(size));
  };
  if (stdin.isTTY) {
    reporter.hint('ctrl-a x quits, ctrl-a h helps; all other keys go to the guest, Ctrl-C too');
    stdout.once('resize', () =>
      reporter.hint('the terminal has another size: ctrl-a r types stty rows … columns … at the guest'),
    );
  }
  return new KeyboardInput(stdin, keys, {
    take: (bytes) => {
      // A machine that has ended takes anything.
      if (!console.writable) return bytes.length;
      if (console.writableNeedDrain) return 0;
      console.write(bytes);
      return bytes.length;
    },
    action: (action) => {
      if (action === 'quit') stop.stop(stoppedEnding('quit'));
      else if (action === 'resize') resize();
      else reporter.hint('ctrl-a x quits, r types the terminal’s size at a shell, c a Ctrl-C, a a ctrl-a');
    },
    end: () => void (plan.eot && console.write(EOT)),
  });
}
