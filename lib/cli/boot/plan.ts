import { DEFAULT_CMDLINE } from '../../machine/config.ts';
import type { BootModule, BootProtocol, FlatImage, MachineConfig } from '../../machine/config.ts';
import { platform } from '../../machine/platform.ts';
import type { ImageSource } from '../../machine/source.ts';
import { choose, optional } from '../options.ts';
import type { OptionValues } from '../options.ts';
import { parseCount, parseQuantity, parseSeconds } from '../quantity.ts';
import { UsageError } from '../usage-error.ts';
import type { bootOptions } from './options.ts';
import { sizeWords } from './terminal-size.ts';
import type { TerminalSize } from './terminal-size.ts';

/** A command line of `boot` after every check that needs no KVM. */
export interface BootPlan {
  readonly config: MachineConfig;
  /** Where the second serial port's output goes. */
  readonly console2: string | undefined;
  readonly eot: boolean;
  readonly json: boolean;
  readonly bootTime: boolean;
  readonly quiet: boolean;
  readonly timeoutMs: number | undefined;
}

type BootValues = OptionValues<typeof bootOptions>;

const modes = ['real', 'protected', 'long'] as const;

/**
 * Checks the options.
 *
 * @param size - that of the person's terminal, if there is one
 * @throws UsageError
 */
export function bootPlan(
  values: BootValues,
  positionals: readonly string[],
  size: TerminalSize | undefined,
): BootPlan {
  const [kernel, ...more] = positionals;
  if (more.length > 0) throw new UsageError(`boot takes one kernel, and '${more[0]}' is a second`);
  const protocol = choose(values.protocol, '--protocol', platform.protocols);
  const debugConsole = optional(values['debug-console'], '--debug-console', parsePort);
  const config: MachineConfig = {
    ...defined('kernel', optional(kernel, 'KERNEL', image)),
    ...defined('initrd', optional(values.initrd, '--initrd', image)),
    ...defined('protocol', protocol),
    ...defined('cmdline', cmdline(values, protocol, size)),
    ...defined('cpus', optional(values.cpus, '--cpus', parseCpus)),
    ...defined('memory', optional(values.memory, '--memory', parseQuantity)),
    ...defined('modules', values.module?.map(bootModule)),
    ...defined('flat', flat(values, protocol)),
    ...defined('acpi', values.acpi),
    ...defined('debugConsole', debugConsole),
    console2: values.console2 !== undefined,
    onReset: values.restart === true ? 'restart' : 'exit',
  };
  return {
    config,
    console2: values.console2,
    eot: values.eot === true,
    json: values.json === true,
    bootTime: values['boot-time'] === true,
    quiet: values.quiet === true,
    timeoutMs: optional(values.timeout, '--timeout', parseSeconds),
  };
}

/** A property, or nothing: an undefined one would be something else than none. */
function defined<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [P in K]?: T });
}

/** A path, or a URL where there is a scheme. A colon that nothing of this stands before belongs to a path. */
function image(text: string, what: string): ImageSource {
  if (!/^(?:https?|file|data):/i.test(text)) return text;
  if (!URL.canParse(text)) throw new UsageError(`${what}: '${text}' is no URL`);
  return new URL(text);
}

function bootModule(text: string): BootModule {
  const at = text.indexOf(',');
  const path = at < 0 ? text : text.slice(0, at);
  if (path === '') throw new UsageError(`--module: '${text}' has no path before the comma`);
  return { image: image(path, '--module'), ...(at < 0 ? {} : { cmdline: text.slice(at + 1) }) };
}

/** What the kernel is told; undefined is the machine's default. */
function cmdline(
  values: BootValues,
  protocol: BootProtocol | undefined,
  size: TerminalSize | undefined,
): string | undefined {
  const isProgram = protocol === 'flat' || protocol === 'firmware';
  // Whoever gives the whole line means it.
  const words = values.cmdline === undefined && !isProgram && size !== undefined ? [sizeWords(size)] : [];
  const added = [...words, ...(values.append ?? [])];
  if (added.length === 0) return values.cmdline;
  return [values.cmdline ?? (isProgram ? '' : DEFAULT_CMDLINE), ...added].filter(Boolean).join(' ');
}

function flat(values: BootValues, protocol: BootProtocol | undefined): FlatImage | undefined {
  const given = (['load', 'entry', 'mode'] as const).find((name) => values[name] !== undefined);
  if (given === undefined) return undefined;
  if (protocol !== 'flat') throw new UsageError(`--${given} is for flat images: --protocol flat`);
  return {
    ...defined('address', optional(values.load, '--load', parseQuantity)),
    ...defined('entry', optional(values.entry, '--entry', parseQuantity)),
    ...defined('mode', choose(values.mode, '--mode', modes)),
  };
}

function parseCpus(text: string, what: string): number {
  const cpus = parseCount(text, what);
  if (cpus > platform.maxCpus)
    throw new UsageError(`${what}: a machine has at most ${platform.maxCpus} vCPUs`);
  return cpus;
}

function parsePort(text: string, what: string): number {
  const port = parseQuantity(text, what);
  if (port > 0xffff) throw new UsageError(`${what}: ${text} is no port`);
  return port;
}
