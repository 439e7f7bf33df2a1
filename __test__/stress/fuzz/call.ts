/** One call of a public member: which, on what, with what. */
import * as fc from 'fast-check';
import { KickHandle } from 'vmhatch';
import { argumentsOf } from './arguments.ts';
import { hostile } from './hostile.ts';
import type { Recipe } from './recipe.ts';
import { classes, keyText, members, type Member } from './surface.ts';
import { explain, isLanguageError, isTypedError } from './verdict.ts';
import type { World } from './world.ts';

/** A call to be made. */
export interface Call {
  readonly member: Member;
  /** Which instance; a `foreign` one is something else altogether. */
  readonly receiver: number;
  readonly foreign: Recipe | undefined;
  readonly args: readonly Recipe[];
}

/** The members that the arguments table has nothing for. */
export const unknownMembers: readonly string[] = members
  .filter(({ owner, kind, key }) => argumentsOf(owner, kind, key) === undefined)
  .map(({ name }) => name);

function callOf(member: Member): fc.Arbitrary<Call> {
  const proper = argumentsOf(member.owner, member.kind, member.key) ?? [];
  const args = fc.tuple(
    fc.tuple(
      ...proper.map((one) => fc.oneof({ weight: 6, arbitrary: one }, { weight: 1, arbitrary: hostile })),
    ),
    fc.oneof(
      { weight: 8, arbitrary: fc.constant(proper.length) },
      { weight: 1, arbitrary: fc.nat(proper.length) },
    ),
    fc.oneof(
      { weight: 12, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(hostile, { maxLength: 2 }) },
    ),
  );
  return fc
    .record({
      receiver: fc.nat(3),
      foreign: fc.option(hostile, { freq: 30, nil: undefined }),
      args: args.map(([list, kept, more]) => list.slice(0, kept).concat(more)),
    })
    .map(({ receiver, foreign, args: list }) => {
      const on = foreign === undefined ? `#${receiver}` : `on ${foreign.text}`;
      const text = `${member.name} ${on} (${list.map((one) => one.text).join(', ')})`;
      return { member, receiver, foreign, args: list, [fc.toStringMethod]: () => text };
    });
}

/** A call as somebody means it: of a live object, with proper arguments only. */
export function meantCall(member: Member): fc.Arbitrary<Call> {
  const proper = argumentsOf(member.owner, member.kind, member.key) ?? [];
  return fc
    .record({ receiver: fc.nat(3), args: fc.tuple(...proper) })
    .map(({ receiver, args }) => ({ member, receiver, foreign: undefined, args }));
}

/** Closing ends the fun for those that come after, so it comes seldom. */
function weightOf(member: Member): number {
  const closes = ['close', '[Symbol.dispose]', 'unmap', 'detach', 'transfer'];
  if (closes.includes(keyText(member.key))) return 4;
  return member.kind === 'getter' ? 10 : 30;
}

/** Any call. */
export const anyCall: fc.Arbitrary<Call> = fc.oneof(
  ...members.map((member) => ({ weight: weightOf(member), arbitrary: callOf(member) })),
);

const RUNS = new Map([
  ['run', 1],
  ['runSliced', 1],
  ['runInBackground', 1],
  ['step', 0],
  ['exits', 0],
]);

/** The longest that a guest of these tests may run, in milliseconds. */
const LONGEST_RUN = 5;

/** A run without a short timeout gets a kick beforehand: it ends at once. */
function bound(call: Call, receiver: unknown, args: readonly unknown[]): void {
  const at = call.member.owner === 'Vcpu' ? RUNS.get(String(call.member.key)) : undefined;
  if (at === undefined) return;
  let timeout: unknown;
  try {
    timeout = (args[at] as { timeoutMs?: unknown } | undefined)?.timeoutMs;
  } catch {
    timeout = undefined;
  }
  if (typeof timeout === 'number' && timeout <= LONGEST_RUN) return;
  const { kickHandle } = receiver as { kickHandle?: unknown };
  if (kickHandle instanceof KickHandle) kickHandle.kick();
}

/** Members that came to a value, to see that the generators get beyond the first checks. */
export const succeeded = new Set<string>();

function use(call: Call, receiver: unknown, args: unknown[]): unknown {
  bound(call, receiver, args);
  const given = call.member.call(receiver, args);
  if (call.member.key !== 'exits') return given;
  const exits = given as Generator;
  for (let turn = 0; turn < 3; turn++) {
    bound(call, receiver, args);
    if (exits.next().done === true) break;
  }
  return undefined;
}

/** Throws unless a call may end with this error. */
function judge({ member, foreign }: Call, error: unknown): void {
  if (isTypedError(error)) return;
  // KvmError is made by the package only, and says what Error itself says to arguments that are none.
  const isLanguages = foreign !== undefined || member.name === 'new KvmError';
  if (isLanguages && isLanguageError(error)) return;
  throw new Error(`${member.name} threw ${explain(error)}`);
}

/**
 * Makes a call; throws when it came to anything but a value or an error with a code.
 *
 * @returns what is still under way
 */
export function begin(call: Call, world: World): Promise<void> | undefined {
  const { member, foreign } = call;
  const instances =
    member.kind === 'static' || member.kind === 'constructor'
      ? [classes.get(member.owner)]
      : world.instances(member.owner);
  // A host that cannot make such an object has nothing to be called.
  if (instances.length === 0 && foreign === undefined) return undefined;
  const receiver = foreign === undefined ? instances[call.receiver % instances.length] : foreign.make(world);
  const args = call.args.map((one) => one.make(world));
  let value: unknown;
  try {
    value = use(call, receiver, args);
  } catch (error) {
    judge(call, error);
    return undefined;
  }
  if (!(value instanceof Promise)) {
    succeeded.add(member.name);
    world.keep(value);
    return undefined;
  }
  return value.then(
    () => void succeeded.add(member.name),
    (error: unknown) => judge(call, error),
  );
}

/** As {@link begin}, to the end. */
export async function make(call: Call, world: World): Promise<void> {
  await begin(call, world);
}
