// The emulated host without QEMU: its command line, what its job is told, the end of its streams, its kernel's parts.
import { Readable } from 'node:stream';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import * as fc from 'fast-check';
import { kernelPackage, plainImage } from '../../scripts/debian-kernel.mjs';
import { UntilMark } from '../../scripts/host/end-mark.mjs';
import { lastLines } from '../../scripts/host/follow.mjs';
import { dependsOf, loadOrder, moduleName } from '../../scripts/host/initrd.mjs';
import { endMark, jobEnvironment, jobFile, keptFolders, quoted } from '../../scripts/host/job.mjs';
import { kvmKind, linuxHost } from '../../scripts/host/kvm-kind.mjs';
import { architectures, machines } from '../../scripts/host/machines.mjs';
import { parseCommandLine, WrongArgument } from '../../scripts/host/options.mjs';
import { qemuArguments } from '../../scripts/host/start.mjs';
import { payloadOf } from '../../scripts/host/vmlinux.mjs';
import { isPlainImage, packedImage } from '../../scripts/kernel/arm64-image.mjs';

const nothing = { args: [], share: [], tty: false, quiet: false, icount: false, newer: false };

test('the command begins at --, or where no option stands', (t) => {
  t.deepEqual(parseCommandLine(['--', 'node', '--version']), {
    ...nothing,
    command: 'node',
    args: ['--version'],
  });
  t.deepEqual(parseCommandLine(['--quiet', 'ls', '--', '-l']), {
    ...nothing,
    quiet: true,
    command: 'ls',
    args: ['--', '-l'],
  });
});

test('options take their values after a space or an equals sign', (t) => {
  const words = ['--arch', 'aarch64', '--cpus=4', '--memory', '2G', '--timeout=1.5', '--share', '/tmp/a'];
  t.deepEqual(parseCommandLine([...words, '--share=/run/b', '--tty', '--', 'sh']), {
    ...nothing,
    command: 'sh',
    arch: 'aarch64',
    cpus: 4,
    memoryMiB: 2048,
    timeoutMs: 1500,
    share: ['/tmp/a', '/run/b'],
    tty: true,
  });
  t.is(parseCommandLine(['--cpus', '4', '--help']), 'help');
});

for (const [words, message] of [
  [['--memroy', '1G', '--', 'ls'], /^unknown option '--memroy'; did you mean '--memory'\?$/],
  [['--zzz', '--', 'ls'], /^unknown option '--zzz'$/],
  [['--constructor', '--', 'ls'], /^unknown option/],
  [['--cpus', '0', '--', 'ls'], /^--cpus takes a number from 1 to 64, not '0'$/],
  [['--cpus', '1.5', '--', 'ls'], /^--cpus takes a whole number, not '1.5'$/],
  [['--cpus', '--', 'ls'], /^--cpus needs a value$/],
  [['--icount', '--cpus', '2', '--', 'ls'], /^--icount is for one processor, so --cpus can only be 1$/],
  [['--memory', '4T', '--', 'ls'], /^--memory takes a size such as 512M or 4G, not '4T'$/],
  [['--memory', '100M', '--', 'ls'], /^--memory in MiB takes a number from 512 to 1048576, not '100'$/],
  [['--timeout', 'soon', '--', 'ls'], /^--timeout takes a number from 1 to 2000000, not 'soon'$/],
  [['--timeout', '0', '--', 'ls'], /^--timeout takes a number/],
  [['--share', 'here', '--', 'ls'], /^--share takes an absolute path, not 'here'$/],
  [['--arch', 'sparc', '--', 'ls'], /^--arch takes x86_64 or aarch64, not 'sparc'$/],
  [['--tty=yes', '--', 'ls'], /^--tty takes no value$/],
  [['--quiet'], /^there is no COMMAND$/],
  [['--', ''], /^there is no COMMAND$/],
] as const) {
  test(`refused: ${words.join(' ')}`, (t) => {
    t.throws(() => parseCommandLine(words), { instanceOf: WrongArgument, message });
  });
}

test('a quoted word is one word to a shell, the same one', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (word) => {
      fc.pre(!word.includes('\0'));
      const result = spawnSync('sh', ['-c', `printf %s ${quoted(word)}`]);
      return result.stdout.equals(Buffer.from(word));
    }),
    { numRuns: 50 },
  );
  t.throws(() => quoted('a\0b'), { message: /^a NUL in "a\\u0000b"/ });
});

test("the job's environment is this one's, without what would lead nowhere", (t) => {
  const env = { HOME: '/h', NAME: 'a=b', GONE: undefined, DISPLAY: ':0', SSH_AUTH_SOCK: '/run/x' };
  const own = 'VMHATCH_EMULATED_HOST=1';
  t.deepEqual(jobEnvironment(env), ['HOME=/h', 'NAME=a=b', own]);
  t.deepEqual(jobEnvironment({ TMPDIR: '/tmp/mine' }), [own]);
  t.deepEqual(jobEnvironment({ TMPDIR: '/tmp' }), ['TMPDIR=/tmp', own]);
  t.deepEqual(jobEnvironment({ TMPDIR: '/var/tmp' }), ['TMPDIR=/var/tmp', own]);
});

test('folders that the host would hide are laid over its own, the outermost only', (t) => {
  const paths = [
    '/work',
    '/tmp/a/b',
    '/tmp/a',
    '/tmp',
    '/dev/shm/x',
    '/tmpfoo',
    '/run/../run/user/1',
    '/tmp/a',
  ];
  t.deepEqual(keptFolders(paths), ['/dev/shm/x', '/run/../run/user/1', '/tmp/a']);
});

test('the job file sets everything up in a shell', (t) => {
  const end = endMark();
  const job = {
    command: 'it',
    args: ["isn't", '$HOME'],
    cwd: '/a b',
    env: { A: '1\n2' },
    shared: ['/tmp/x y'],
    programs: undefined,
  };
  const plain = jobFile({ ...job, terminal: undefined }, end).toString();
  const newline = plain.indexOf('\n');
  const text = plain.slice(newline + 1);
  t.is(Number(plain.slice(0, newline)), Buffer.byteLength(text));
  // What busybox has, played by functions that say what they are given.
  const played = `
    say() { for word; do printf '<%s>' "$word"; done; echo; }
    mkdir() { say mkdir "$@"; }; mount() { say mount "$@"; }
    ${text.replace('  exec ', '  say ')}
    keep; job; printf "$end" | od -An -c | tr -d ' \\n'; echo; echo $tty $rows $columns "[$libraries]"`;
  const { stdout } = spawnSync('sh', ['-c', played], { encoding: 'utf8' });
  t.deepEqual(stdout.split('\n'), [
    '<mkdir><-p></host/tmp/x y>',
    '<mount><--bind></under/tmp/x y></host/tmp/x y>',
    '<env><-i><A=1',
    `2><VMHATCH_EMULATED_HOST=1><chroot></host></bin/sh><-c><cd "$1" && shift && exec "$@"><sh></a b><it><isn't><$HOME>`,
    end.replace('\0', '\\0').replaceAll(' ', ''),
    'no 0 0 []',
    '',
  ]);
  const onTerminal = jobFile({ ...job, terminal: { rows: 24, columns: 80 } }, end).toString();
  t.regex(onTerminal, /^tty=yes\nrows=24\ncolumns=80$/m);
  t.regex(onTerminal, /^ {2}exec 'setsid' '-c' 'env'/m);
});

test("a host of another processor lays its Node over this machine's, wherever that lies", (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-job-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const programs = { libraries: '/c/li b', node: '/c/n/node', instead: "/opt/o'd/bin/node" };
  const job = { command: 'it', args: [], cwd: '/', env: {}, shared: [], terminal: undefined, programs };
  const text = jobFile(job, endMark()).toString().split('\n').slice(1).join('\n');
  t.true(text.startsWith("libraries='/under/c/li b'\n"), text);
  // In a folder of programs, which the host has its own of, there is no file yet to lay another one over.
  const keep = /^keep\(\) \{[^]*?^\}/m.exec(text)?.[0].replaceAll("'/host/", `'${folder}/`);
  const played = `mount() { [ -f "$3" ] && printf '<%s>' mount "$@"; }; ${keep}; keep`;
  const { stdout, stderr } = spawnSync('sh', ['-c', played], { encoding: 'utf8' });
  t.is(stderr, '');
  t.is(stdout, `<mount><--bind></under/c/n/node><${folder}/opt/o'd/bin/node>`);
});

test('a stream ends at its mark, however it is cut into pieces', async (t) => {
  const mark = endMark();
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fc.nat({ max: 20 }), { maxLength: 30 }),
      fc.nat({ max: mark.length }),
      async (bytes, cuts, near) => {
        // What comes before may itself begin like the mark.
        const before = Buffer.concat([bytes, Buffer.from(mark.slice(0, near === mark.length ? 0 : near))]);
        const whole = Buffer.concat([before, Buffer.from(mark), Buffer.from('behind')]);
        const pieces: Buffer[] = [];
        let rest = whole;
        for (const cut of cuts) {
          pieces.push(rest.subarray(0, cut));
          rest = rest.subarray(cut);
        }
        const until = new UntilMark(mark);
        const chunks = await Readable.from([...pieces, rest].filter((piece) => piece.length > 0))
          .pipe(until)
          .toArray();
        t.true(until.complete);
        return Buffer.concat(chunks as Buffer[]).equals(before);
      },
    ),
  );
});

test('a stream that ends without its mark keeps nothing back', async (t) => {
  const mark = endMark();
  const until = new UntilMark(mark);
  const text = `some${mark.slice(0, 9)}`;
  const chunks = await Readable.from([Buffer.from(text)])
    .pipe(until)
    .toArray();
  t.is(Buffer.concat(chunks as Buffer[]).toString(), text);
  t.false(until.complete);
});

test('the last lines of a console have the reason of a panic, however long its trace', (t) => {
  const trace = Array.from({ length: 40 }, (_, line) => `[ 1.0] frame ${line}\r\n`).join('');
  const text = lastLines(`\x1b[2Jboot\r\n\r\nKernel panic - not syncing: why\r\n${trace}`);
  const lines = text.split('\n  ');
  t.is(lines[1], 'Kernel panic - not syncing: why');
  t.is(lines[2], '[ 1.0] frame 20');
  t.is(lines.at(-1), '[ 1.0] frame 39');
});

test('modules are loaded after what they need', (t) => {
  const needs: Record<string, string[]> = {
    kvm_amd: ['kvm', 'ccp'],
    kvm: ['irqbypass'],
    irqbypass: [],
    ccp: ['built_in'],
    ring: ['kvm'],
  };
  t.deepEqual(
    loadOrder(['kvm-amd', 'nowhere', 'kvm', 'ring'], (name) => needs[name]),
    ['irqbypass', 'kvm', 'ccp', 'kvm_amd', 'ring'],
  );
  t.is(moduleName('/lib/kvm-amd.ko.xz'), 'kvm_amd');
});

test('a module says what it needs', (t) => {
  const section = 'license=GPL\0depends=kvm,ccp\0name=kvm_amd\0';
  t.deepEqual(dependsOf(Buffer.from(`\x7fELF\0${section}`)), ['kvm', 'ccp']);
  t.deepEqual(dependsOf(Buffer.from('\x7fELF\0depends=\0')), []);
  t.deepEqual(dependsOf(Buffer.from('\x7fELF')), []);
});

test('a bzImage gives its payload, and what is none gives nothing', (t) => {
  const packed = gzipSync('the kernel');
  const image = Buffer.alloc(0x1000 + packed.length);
  image[0x1f1] = 4; // setup_sects: the payload's base is at (4 + 1) * 512
  image.write('HdrS', 0x202, 'latin1');
  image.writeUInt32LE(0x1000 - 5 * 512, 0x248);
  image.writeUInt32LE(packed.length, 0x24c);
  packed.copy(image, 0x1000);
  const found = payloadOf(image);
  t.is(found?.program, 'gzip');
  t.deepEqual(found?.payload, packed.subarray(0, -4));
  t.is(payloadOf(image.subarray(0, 0x1004)), undefined);
  t.is(payloadOf(Buffer.alloc(100)), undefined);
  image.write('none', 0x1000, 'latin1');
  t.is(payloadOf(image), undefined);
});

test("arm64's Image is found plain, packed by gzip, and inside of an EFI program", (t) => {
  const image = Buffer.alloc(4096, 7);
  image.write('ARM\x64', 56, 'latin1');
  t.true(isPlainImage(image));
  const gzip = gzipSync(image);
  t.false(isPlainImage(gzip));
  t.deepEqual(packedImage(gzip)?.payload, gzip);
  t.is(packedImage(gzip)?.program, 'gzip');

  const zboot = Buffer.alloc(80 + gzip.length + 4);
  zboot.write('MZ\0\0zimg', 0, 'latin1');
  zboot.writeUInt32LE(80, 8);
  zboot.writeUInt32LE(gzip.length, 12);
  gzip.copy(zboot, 80);
  t.deepEqual(packedImage(zboot)?.payload, gzip);
  // Cut off, of a size that lies, packed in a way that nobody knows, and nothing at all.
  t.is(packedImage(zboot.subarray(0, -5)), undefined);
  zboot.writeUInt32LE(0xffff_ffff, 12);
  t.is(packedImage(zboot), undefined);
  t.is(packedImage(image), undefined);
  t.is(packedImage(Buffer.alloc(0)), undefined);
  t.false(isPlainImage(Buffer.alloc(0)));
});

test('an Image that is packed is put beside its file, once; what holds none gives none', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-image-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const image = Buffer.alloc(4096, 7);
  image.write('ARM\x64', 56, 'latin1');
  const file = (name: string, bytes: Buffer) => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };
  const plain = file('plain', image);
  t.is(await plainImage(plain), plain);
  const gzip = file('gzip', gzipSync(image));
  const found = await plainImage(gzip);
  t.is(found, `${gzip}.Image`);
  t.true(readFileSync(found ?? '').equals(image));
  writeFileSync(gzip, '');
  t.is(await plainImage(gzip), found);
  t.is(await plainImage(file('other', gzipSync('no kernel at all'))), undefined);
  t.is(await plainImage(file('zero', Buffer.alloc(100))), undefined);
  t.deepEqual(readdirSync(folder).toSorted(), ['gzip', 'gzip.Image', 'other', 'plain', 'zero']);
});

for (const arch of architectures) {
  test(`QEMU's ports are those that init.sh opens: ${arch}`, (t) => {
    const size = { arch, cpus: 3, memoryMiB: 700 };
    const line = qemuArguments({ kernel: 'K', initrd: 'I' }, { ...size, terminal: true }).join(' ');
    t.regex(line, /-smp 3 -m 700M -kernel K -initrd I /);
    for (const [id, fd, nr] of [
      ['output', 4, 1],
      ['errors', 5, 2],
      ['control', 6, 3],
      ['terminal', 7, 4],
    ] as const) {
      t.regex(line, new RegExp(`-chardev socket,id=${id},fd=${fd} -device virt\\w+,chardev=${id},nr=${nr}`));
    }
    const without = qemuArguments({ kernel: 'K', initrd: 'I' }, { ...size, terminal: false });
    t.notRegex(without.join(' '), /terminal/);
  });
}

test('each host has what KVM needs of its processor, and its console', (t) => {
  const line = (arch: (typeof architectures)[number]) =>
    qemuArguments({ kernel: 'K', initrd: 'I' }, { arch, cpus: 1, memoryMiB: 512, terminal: false }).join(' ');
  t.regex(line('x86_64'), /-cpu max,\+svm,\+npt,-xsave,\S+ .* -append console=ttyS0 /);
  t.true(machines.x86_64.modules.includes('kvm-amd'));
  t.regex(line('aarch64'), /-machine virt,virtualization=on,gic-version=3 .* -append console=ttyAMA0 /);
  t.regex(line('aarch64'), /-cpu max\S*,sve=off /);
  const size = { arch: 'aarch64', cpus: 1, memoryMiB: 512, terminal: false, sve: true } as const;
  t.notRegex(qemuArguments({ kernel: 'K', initrd: 'I' }, size).join(' '), /sve/);
});

test('a clock that counts instructions needs one thread of QEMU', (t) => {
  const size = { cpus: 1, memoryMiB: 512, terminal: false };
  for (const arch of architectures) {
    const line = (icount: boolean) =>
      qemuArguments({ kernel: 'K', initrd: 'I' }, { arch, ...size, icount }).join(' ');
    t.regex(line(true), /-accel tcg,thread=single .*-icount shift=1,/);
    t.regex(line(false), /-accel tcg,thread=multi /);
    t.notRegex(line(false), /icount/);
  }
  t.true((parseCommandLine(['--icount', '--cpus', '1', 'ls']) as { icount: boolean }).icount);
});

test('a metapackage names the kernel of today', (t) => {
  t.is(kernelPackage('linux-image-6.1.0-56-amd64 (= 6.1.192-2)'), 'linux-image-6.1.0-56-amd64');
  t.is(
    kernelPackage('linux-base (>= 4), linux-image-6.12.1+deb13-cloud-amd64 | none'),
    'linux-image-6.12.1+deb13-cloud-amd64',
  );
  t.is(kernelPackage('linux-image-amd64'), undefined);
});

test('what KVM is: none without a device, pvm by its module, else full', (t) => {
  const base = `${mkdtempSync(join(tmpdir(), 'vmhatch-kind-'))}/`;
  t.teardown(() => rmSync(base, { recursive: true }));
  t.is(kvmKind(base), 'none');
  mkdirSync(`${base}dev`);
  writeFileSync(`${base}dev/kvm`, '');
  t.is(kvmKind(base), 'full');
  mkdirSync(`${base}sys/module/kvm_pvm`, { recursive: true });
  t.is(kvmKind(base), 'pvm');
});

test('Linux runs natively where KVM is full, and where it is told to', (t) => {
  t.is(linuxHost({}, 'full').host, 'native');
  t.is(linuxHost({}, 'pvm').host, 'emulated');
  t.is(linuxHost({}, 'none').host, 'emulated');
  t.is(linuxHost({ VMHATCH_LINUX_HOST: 'native' }, 'pvm').host, 'native');
  t.is(linuxHost({ VMHATCH_LINUX_HOST: 'emulated' }, 'full').host, 'emulated');
  t.throws(() => linuxHost({ VMHATCH_LINUX_HOST: 'here' }, 'full'), {
    message: /neither native nor emulated/,
  });
});
