// The pictures of docs/boot.md and docs/boot-aarch64.md: what is where in a machine's memory. Every address in them is read
// from the two sources that put things there, so that no picture can say anything else than they do.
import { readFileSync, writeFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { inRoot } from './shared/paths.mjs';

const usage = `Usage: node scripts/memory-picture.mjs [--check]

Draws docs/pictures/guest-memory-boot.svg from crates/boot/src/x86_64/layout.rs and lib/machine/layout-x86.ts, and
docs/pictures/guest-memory-boot-aarch64.svg from crates/boot/src/aarch64/layout.rs and lib/machine/layout-arm64.ts.

  --check   writes nothing; fails if a picture is not what the sources make`;

/** What holds addresses: Rust's constants, and those of TypeScript. */
const sources = {
  x86: ['x86_64', 'layout-x86.ts'],
  aarch64: ['aarch64', 'layout-arm64.ts'],
};

/** @typedef {Record<string, any>} Constants numbers by name; ports and windows are objects of numbers */

/**
 * The constants of a source: the right sides are numbers, sums, products and objects of them, which are JavaScript in
 * either language.
 * @param {string} text
 * @param {string} start
 * @returns {Constants}
 */
export function constantsOf(text, start) {
  const pattern = new RegExp(String.raw`^${start} (\w+)(?:: \w+)? = ([^;]+?)(?: as const)?;`, 'gm');
  const found = Array.from(text.matchAll(pattern), ([, name = '', value = '']) => ({ name, value }));
  const program = found.map(({ name, value }) => `const ${name} = ${value};`).join('\n');
  const names = found.map(({ name }) => name).join(', ');
  return { ...runInNewContext(`${program}\n({ ${names} })`) };
}

/**
 * The constants of both sources.
 * @param {keyof typeof sources} [architecture]
 * @returns {{ rust: Constants, typescript: Constants }}
 */
export function readLayouts(architecture = 'x86') {
  const [folder = '', file = ''] = sources[architecture];
  const rust = readFileSync(inRoot('crates', 'boot', 'src', folder, 'layout.rs'), 'utf8');
  const typescript = readFileSync(inRoot('lib', 'machine', file), 'utf8');
  return { rust: constantsOf(rust, 'pub const'), typescript: constantsOf(typescript, 'export const') };
}

/**
 * An address as the documents write it: `0xfec0_0000`.
 * @param {number} number
 */
export function hex(number) {
  return `0x${number.toString(16).replaceAll(/\B(?=(?:[\da-f]{4})+$)/g, '_')}`;
}

/** The protocols that put things into the first MiB, by the columns of the picture. */
const protocols = ['linux64', 'pvh', 'multiboot', 'flat'];

/**
 * @typedef {object} Band a range of addresses, from `start` to the next band
 * @property {number | undefined} start undefined: the image or the memory decides
 * @property {string} what
 * @property {string} [note]
 * @property {'free' | 'table' | 'kernel' | 'device' | 'kvm' | 'none'} kind
 * @property {number} [height]
 * @property {string} [protocols] a letter for each: `x` always, `m` by the mode of the image, `-` never
 */

/**
 * The whole address space, and the first MiB of it.
 * @param {{ rust: Constants, typescript: Constants }} layouts
 * @returns {{ all: Band[], first: Band[], end: number }}
 */
export function bands({ rust, typescript }) {
  return {
    all: [
      { start: 0, what: 'the first MiB', note: 'tables and texts', kind: 'table', height: 52 },
      {
        start: rust.HIGH_MEMORY,
        what: 'kernel',
        note: 'where its image says',
        kind: 'kernel',
      },
      { start: undefined, what: 'RAM', kind: 'free', height: 30 },
      { start: undefined, what: 'initrd, modules', note: 'as high as the kernel allows', kind: 'kernel' },
      { start: rust.LOW_RAM_END, what: 'nothing', note: 'low RAM ends here at most', kind: 'none' },
      { start: typescript.BOOT_TIMER_ADDRESS, what: 'boot timer', kind: 'device', height: 30 },
      { start: typescript.DEVICE_WINDOWS.start, what: 'your devices', kind: 'device', height: 52 },
      { start: rust.IO_APIC, what: 'IOAPIC', kind: 'kvm', height: 30 },
      { start: rust.LOCAL_APIC, what: 'local APICs', kind: 'kvm', height: 30 },
      {
        start: rust.KVM_PRIVATE,
        what: "KVM's own pages",
        note: 'identity map, task state',
        kind: 'kvm',
      },
      {
        start: rust.RAM_ABOVE_HOLE - typescript.FIRMWARE_LIMIT,
        what: 'firmware',
        note: 'if that is booted: its end is at 4 GiB',
        kind: 'kernel',
      },
      { start: rust.RAM_ABOVE_HOLE, what: 'RAM', note: 'what did not fit below', kind: 'free', height: 52 },
    ],
    first: [
      { start: 0, what: '', kind: 'free', height: 24 },
      { start: rust.GDT, what: 'GDT', kind: 'table', protocols: 'xxxm' },
      { start: rust.START_INFO, what: 'PVH start info', kind: 'table', protocols: '-x--' },
      { start: rust.ZERO_PAGE, what: 'zero page', kind: 'table', protocols: 'x---' },
      {
        start: rust.ZERO_PAGE + rust.PAGE_SIZE,
        what: `stack, from ${hex(rust.BOOT_STACK_TOP)} down`,
        kind: 'table',
        protocols: 'x--m',
      },
      { start: rust.PAGE_TABLES, what: 'page tables', kind: 'table', protocols: 'x--m' },
      { start: rust.MULTIBOOT_INFO, what: 'Multiboot information', kind: 'table', protocols: '--x-' },
      { start: rust.COMMAND_LINE, what: 'command line', kind: 'table', protocols: 'xxx-' },
      { start: rust.COMMAND_LINE + rust.COMMAND_LINE_ROOM, what: 'RAM', kind: 'free', height: 44 },
      { start: rust.EBDA, what: 'MP table', kind: 'table', protocols: 'xxxx' },
      {
        start: rust.BASE_MEMORY_END,
        what: 'not in the memory map',
        kind: 'none',
        height: 44,
      },
      { start: rust.ACPI, what: 'ACPI tables', kind: 'table', protocols: 'xxxx' },
      { start: rust.RESET_VECTOR, what: 'reset vector', kind: 'table', protocols: 'xxxx' },
    ],
    end: rust.ACPI_END,
  };
}

/**
 * The address space of an aarch64 machine.
 * @param {{ rust: Constants, typescript: Constants }} layouts
 * @returns {Band[]}
 */
export function armBands({ rust, typescript }) {
  const { GIC, DEVICES, DEVICE_WINDOWS } = typescript;
  return [
    { start: 0, what: 'nothing', kind: 'none', height: 30 },
    { start: GIC.distributor, what: 'GIC: distributor', kind: 'kvm', height: 30 },
    { start: GIC.cpuInterface, what: 'GICv2: CPU interface', kind: 'kvm', height: 30 },
    { start: GIC.its, what: 'GICv3: translation service', kind: 'kvm', height: 30 },
    {
      start: GIC.redistributors,
      what: 'GICv3: redistributors',
      note: `of up to ${rust.FEW_CPUS} vCPUs`,
      kind: 'kvm',
    },
    { start: DEVICES.serial, what: 'serial port, the console', kind: 'device', height: 30 },
    { start: DEVICES.rtc, what: 'clock, PL031', kind: 'device', height: 30 },
    { start: DEVICES.serial2, what: 'second serial port', kind: 'device', height: 30 },
    { start: DEVICES.bootTimer, what: 'boot timer', kind: 'device', height: 30 },
    { start: DEVICES.pvpanic, what: 'pvpanic', kind: 'device', height: 30 },
    { start: DEVICE_WINDOWS.start, what: 'your devices', kind: 'device', height: 52 },
    {
      start: DEVICE_WINDOWS.end,
      what: 'GICv3: redistributors',
      note: `of more than ${rust.FEW_CPUS} vCPUs`,
      kind: 'kvm',
    },
    { start: rust.RAM_START, what: 'kernel', note: 'and what it keeps free behind it', kind: 'kernel' },
    { start: undefined, what: 'RAM', kind: 'free', height: 30 },
    { start: undefined, what: 'device tree', note: 'as high as it can be in 512 MiB', kind: 'table' },
    { start: undefined, what: 'RAM', kind: 'free', height: 30 },
    { start: undefined, what: 'initrd', note: 'as high as it can be in 32 GiB', kind: 'kernel' },
  ];
}

/** @param {string} text */
function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} [classes]
 * @param {'start' | 'middle' | 'end'} [anchor]
 */
function label(x, y, text, classes = '', anchor = 'start') {
  const style = classes === '' ? '' : ` class="${classes}"`;
  const at = anchor === 'start' ? '' : ` text-anchor="${anchor}"`;
  return `  <text x="${x}" y="${y}"${style}${at}>${escape(text)}</text>`;
}

const top = 74;
const normalHeight = 44;
const rowHeight = 38;

/**
 * Bands from top to bottom, addresses at their upper edges.
 * @param {readonly Band[]} list
 * @param {{ x: number, width: number, height: number }} place `height` of a band that does not say
 * @returns {{ drawn: string[], bottom: number }}
 */
function column(list, { x, width, height: usual }) {
  /** @type {string[]} */
  const drawn = [];
  let y = top;
  for (const { start, what, note, kind, height = usual, protocols: uses } of list) {
    const middle = y + height / 2;
    drawn.push(`  <rect class="${kind}" x="${x}" y="${y}" width="${width}" height="${height}"/>`);
    if (start !== undefined) drawn.push(label(x - 8, y + 4, hex(start), 'code', 'end'));
    const line = middle + (note === undefined ? 5 : -3);
    if (what !== '') drawn.push(label(x + width / 2, line, what, '', 'middle'));
    if (note !== undefined) drawn.push(label(x + width / 2, middle + 13, note, 'note', 'middle'));
    for (const [index, use] of Array.from(uses ?? '').entries()) {
      if (use === '-') continue;
      const dot = `cx="${x + width + 36 + index * 62}" cy="${middle}" r="5"`;
      drawn.push(`  <circle class="${use === 'x' ? 'dot' : 'ring'}" ${dot}/>`);
    }
    y += height;
  }
  return { drawn, bottom: y };
}

const style = `    text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }
    .head { font-weight: 600; font-size: 14px }
    .note { fill: #59636e; font-size: 12px }
    .code { font: 12px ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace }
    .room { fill: #f6f8fa; stroke: #d0d7de }
    .free { fill: #ffffff; stroke: #8c959f } .none { fill: #eaeef2; stroke: #8c959f; stroke-dasharray: 4 3 }
    .table { fill: #fff8c5; stroke: #d4a72c } .kernel { fill: #ddf4ff; stroke: #54aeff }
    .device { fill: #fbefff; stroke: #c297ff } .kvm { fill: #dafbe1; stroke: #4ac26b }
    .dot { fill: #0969da } .ring { fill: none; stroke: #0969da; stroke-width: 1.8 }
    .zoom { stroke: #8c959f; stroke-width: 1.2; fill: none; stroke-dasharray: 2 4 }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .note { fill: #9198a1 }
      .room { fill: #151b23; stroke: #3d444d }
      .free { fill: #0d1117; stroke: #656c76 } .none { fill: #212830; stroke: #656c76 }
      .table { fill: #3b2300; stroke: #9e6a03 } .kernel { fill: #0c2d6b; stroke: #388bfd }
      .device { fill: #2f1e52; stroke: #8957e5 } .kvm { fill: #033a16; stroke: #238636 }
      .dot { fill: #58a6ff } .ring { stroke: #58a6ff }
      .zoom { stroke: #656c76 }
    }`;

/**
 * The picture as an SVG document.
 * @param {{ rust: Constants, typescript: Constants }} layouts
 */
export function drawMemory(layouts) {
  const { all, first, end } = bands(layouts);
  const left = column(all, { x: 118, width: 250, height: normalHeight });
  const zoom = { x: 500, width: 190, height: rowHeight };
  const right = column(first, zoom);
  const bottom = Math.max(left.bottom, right.bottom) + 34;
  const width = 970;
  const height = bottom + 10;
  const firstMib = all[0]?.height ?? normalHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title">
  <title id="title">What is where in a machine's memory, and what of it each boot protocol fills</title>
  <style>
${style}
  </style>
  <rect class="room" x="10" y="10" width="376" height="${bottom - 10}" rx="8"/>
${label(198, 34, 'Guest-physical addresses', 'head', 'middle')}
${label(198, 52, 'not to scale; addresses grow downwards', 'note', 'middle')}
${left.drawn.join('\n')}
  <rect class="room" x="408" y="10" width="${width - 418}" height="${bottom - 10}" rx="8"/>
${label(595, 34, 'The first MiB', 'head', 'middle')}
${protocols.map((name, index) => label(zoom.x + zoom.width + 36 + index * 62, 34, name, 'code', 'middle')).join('\n')}
${label(zoom.x + zoom.width + 36, 50, 'elf64', 'code', 'middle')}
${right.drawn.join('\n')}
${label(zoom.x - 8, right.bottom + 4, hex(end), 'code', 'end')}
  <path class="zoom" d="M368 ${top} 408 ${top} M368 ${top + firstMib} 408 ${right.bottom}"/>
  <circle class="dot" cx="${zoom.x + 6}" cy="${right.bottom + 20}" r="5"/>
${label(zoom.x + 18, right.bottom + 25, 'filled by that protocol', 'note')}
  <circle class="ring" cx="${zoom.x + 196}" cy="${right.bottom + 20}" r="5"/>
${label(zoom.x + 208, right.bottom + 25, 'if the mode of the image needs it', 'note')}
</svg>
`;
}

/**
 * The picture of an aarch64 machine as an SVG document.
 * @param {{ rust: Constants, typescript: Constants }} layouts
 */
export function drawArmMemory(layouts) {
  const drawn = column(armBands(layouts), { x: 118, width: 290, height: normalHeight });
  const bottom = drawn.bottom + 20;
  const width = 436;
  const height = bottom + 10;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title">
  <title id="title">What is where in an aarch64 machine's memory</title>
  <style>
${style}
  </style>
  <rect class="room" x="10" y="10" width="${width - 20}" height="${bottom - 10}" rx="8"/>
${label(218, 34, 'Guest-physical addresses', 'head', 'middle')}
${label(218, 52, 'not to scale; addresses grow downwards', 'note', 'middle')}
${drawn.drawn.join('\n')}
</svg>
`;
}

/** @param {readonly string[]} args */
function main(args) {
  const [option, ...more] = args;
  if (more.length > 0 || (option !== undefined && option !== '--check')) {
    console.log(usage);
    process.exitCode = option === '--help' ? 0 : 2;
    return;
  }
  for (const [name, picture] of Object.entries({
    'guest-memory-boot.svg': drawMemory(readLayouts()),
    'guest-memory-boot-aarch64.svg': drawArmMemory(readLayouts('aarch64')),
  })) {
    const path = inRoot('docs', 'pictures', name);
    if (option === undefined) {
      writeFileSync(path, picture);
    } else if (readFileSync(path, 'utf8') !== picture) {
      console.error(`docs/pictures/${name} is stale: run node scripts/memory-picture.mjs`);
      process.exitCode = 1;
    }
  }
}

if (process.argv[1] === import.meta.filename) main(process.argv.slice(2));
