// One row of docs/kvm-api.md, as the tables in this folder write it, and as the document needs it.

/**
 * A method that TypeScript has.
 * @typedef {object} Offered
 * @property {string} [ts] the member; by default the method's name in camelCase on the class of its descriptor
 * @property {string} [ioctl] where the crate's source does not show it
 * @property {string} [note] what differs
 * @property {readonly string[]} [words] what the test's file must mention; by default the member's name
 * @property {string | readonly string[]} test file › title, or several; see tests.mjs
 */

/**
 * A method that TypeScript does not have: why, and what to use instead.
 * @typedef {object} Refused
 * @property {string} reason
 */

/** @typedef {Readonly<Record<string, Offered | Refused>>} Rows by the method's name */

/** @param {string} name in snake_case */
export function camelCase(name) {
  return name.replaceAll(/_(\w)/g, (_, letter) => String(letter).toUpperCase());
}

/**
 * The last part of a member's name: `setMsrFilter` of `Vm.setMsrFilter({ … })`.
 * @param {string} member
 */
export function keyOf(member) {
  const plain = member.replace(/\(.*$/, '').trim();
  return plain.split(/[. ]/).at(-1) ?? plain;
}
