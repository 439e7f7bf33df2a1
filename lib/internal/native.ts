/**
 * The only door to the native addon. It is loaded at the first use, never at import, so that types and
 * documentation work on any platform.
 */
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import type * as Addon from '#native';
import { KvmError, makeNativeError } from './errors.ts';

export type Native = typeof Addon;
export type {
  NativeAccess,
  NativeBackgroundRun,
  NativeBootPlan,
  NativeBootResult,
  NativeDeviceModel,
  NativeEntry,
  NativeEventFd,
  NativeGuestMemfd,
  NativeKvm,
  NativeKvmDevice,
  NativeStats,
  NativeVcpu,
  NativeVm,
} from '#native';

/** The raw functions of an isolate: no arguments, no class, no conversion. */
export interface IsolateFunctions {
  /** Whether anything waits for the isolate: 1 or 0. */
  readonly pending: () => number;
  /** The next waiting vCPU as `number * 4096 + status`, or {@link NOBODY}. */
  readonly nextReady: () => number;
  /** The same after a short wait. */
  readonly awaitReady: () => number;
  /** Runs the selected vCPU until there is something to do; the status. */
  readonly step: () => number;
  /** Selects no vCPU. */
  readonly deselect: () => void;
}

/** What {@link IsolateFunctions.nextReady} returns when no vCPU waits. */
export const NOBODY = 0xffff_ffff;

let addon: Native | undefined;
let functions: IsolateFunctions | undefined;
let onWake: (() => void) | undefined;

/** Says who looks at what waits for this isolate: set once, by isolate.ts. */
export function setWakeHandler(handler: () => void): void {
  onWake = handler;
}

/** The addon, loaded and made ready in this isolate. */
export function native(): Native {
  return addon ?? load();
}

/** The isolate's raw functions. */
export function isolateFunctions(): IsolateFunctions {
  if (functions === undefined) functions = native().isolateFunctions() as IsolateFunctions;
  return functions;
}

function load(): Native {
  let loaded: Native;
  try {
    loaded = createRequire(import.meta.url)('#native') as Native;
  } catch (cause) {
    throw new KvmError('ERR_KVM_PLATFORM', platformMessage(), { cause });
  }
  loaded.init(makeNativeError as (...args: unknown[]) => unknown, () => onWake?.());
  // Once the main thread exits, no vCPU may enter its guest again: a thread in KVM_RUN would hold up the end.
  // A Worker needs nothing here; the addon has a cleanup hook for it.
  if (isMainThread) process.on('exit', () => loaded.shutDown());
  addon = loaded;
  return loaded;
}

function platformMessage(): string {
  const { platform, arch, version } = process;
  const here = platform === 'linux' ? `${platform}-${arch}-${libc()}` : `${platform}-${arch}`;
  const mend =
    platform === 'linux'
      ? `install the package vmhatch-${here} beside vmhatch (npm does so unless optional dependencies are omitted), or build from source with 'npm run build'`
      : 'KVM is part of Linux: use a Linux host or a Linux virtual machine with nested virtualisation';
  return `vmhatch has no native addon for ${here} (Node ${version}): ${mend}`;
}

function libc(): string {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu';
}
