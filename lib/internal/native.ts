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

/**
 * What all copies of this package's JavaScript share in an isolate, though each has classes and modules of its own: a
 * test runner that loads modules anew for each file makes several, of the one addon. The copy that was loaded last is the one
 * in use: it makes the errors, and looks at what waits for any of them.
 */
export interface Shared<State> {
  makeError: (...args: unknown[]) => unknown;
  wake: () => void;
  state?: State;
}

let addon: Native | undefined;
let functions: IsolateFunctions | undefined;
let onLoad: ((shared: Shared<unknown>) => void) | undefined;

/** Says who keeps the isolate's state, and looks at what waits for it: set once, by isolate.ts. */
export function setLoadHandler<State>(handler: (shared: Shared<State>) => void): void {
  onLoad = handler as (shared: Shared<unknown>) => void;
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
  const shared = loaded.init(
    (...args: unknown[]) => shared.makeError(...args),
    () => shared.wake(),
  ) as Shared<unknown>;
  shared.makeError = makeNativeError as (...args: unknown[]) => unknown;
  onLoad?.(shared);
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
