/** The public methods, accessors and constructors, found by looking at what the package exports. */
import * as api from 'vmhatch';

/** Something that can be called. */
export interface Member {
  /** `Vcpu.run`, `static Vcpu.adopt`, `new Kvm`, `get Vm.closed`, `set …`. */
  readonly name: string;
  /** The exported class. */
  readonly owner: string;
  readonly key: string | symbol;
  readonly kind: 'method' | 'static' | 'constructor' | 'getter' | 'setter';
  readonly call: (receiver: unknown, args: unknown[]) => unknown;
}

type AnyClass = new (...args: unknown[]) => object;
type AnyFunction = (...args: unknown[]) => unknown;

function isClass(value: unknown): value is AnyClass {
  return typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value));
}

/** Whole machines, and streams, have what they inherit from Node's classes; fuzz-machines.test.ts is about them. */
const elsewhere: ReadonlySet<unknown> = new Set([api.Machine, api.MachineConsole]);

/** The exported classes by name. */
export const classes: ReadonlyMap<string, AnyClass> = new Map(
  Object.entries<unknown>({ ...api }).filter(
    (entry): entry is [string, AnyClass] => isClass(entry[1]) && !elsewhere.has(entry[1]),
  ),
);

/** A key as text; releases of Node disagree on the description of `Symbol.dispose`. */
export function keyText(key: string | symbol): string {
  if (key === Symbol.dispose) return '[Symbol.dispose]';
  return typeof key === 'symbol' ? `[${key.description}]` : key;
}

function label(owner: string, key: string | symbol): string {
  return `${owner}.${keyText(key)}`;
}

function membersOf(owner: string, type: AnyClass): Member[] {
  const members: Member[] = [
    {
      name: `new ${owner}`,
      owner,
      key: 'constructor',
      kind: 'constructor',
      call: (_, args) => new type(...args),
    },
  ];
  for (const key of Reflect.ownKeys(type)) {
    const { value } = Object.getOwnPropertyDescriptor(type, key)!;
    if (typeof value !== 'function' || key === 'prototype') continue;
    const call = (receiver: unknown, args: unknown[]): unknown =>
      Reflect.apply(value as AnyFunction, receiver, args);
    members.push({ name: `static ${label(owner, key)}`, owner, key, kind: 'static', call });
  }
  // What is inherited from a class that is not exported is public all the same.
  for (
    let prototype = type.prototype as object;
    prototype !== Object.prototype;
    prototype = Object.getPrototypeOf(prototype)
  ) {
    if (prototype === Error.prototype) break;
    for (const key of Reflect.ownKeys(prototype)) {
      const name = label(owner, key);
      const { get, set, value } = Object.getOwnPropertyDescriptor(prototype, key)!;
      if (get !== undefined) {
        members.push({
          name: `get ${name}`,
          owner,
          key,
          kind: 'getter',
          call: (it) => Reflect.apply(get, it, []),
        });
      }
      if (set !== undefined) {
        const call = (receiver: unknown, args: unknown[]): unknown => Reflect.apply(set, receiver, args);
        members.push({ name: `set ${name}`, owner, key, kind: 'setter', call });
      }
      if (
        typeof value === 'function' &&
        key !== 'constructor' &&
        !members.some((member) => member.name === name)
      ) {
        const call = (receiver: unknown, args: unknown[]): unknown =>
          Reflect.apply(value as AnyFunction, receiver, args);
        members.push({ name, owner, key, kind: 'method', call });
      }
    }
  }
  return members;
}

/** The members of the exported classes. */
export const members: readonly Member[] = [...classes].flatMap(([name, type]) => membersOf(name, type));
