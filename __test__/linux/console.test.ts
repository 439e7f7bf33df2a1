// The serial ports under load: nothing is lost or out of order, few exits, and nobody has to read.
import test from 'ava';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventFd, Serial, type Machine } from '../../index.ts';
import { ConsoleReader } from '../helpers/console-reader.ts';
import { ALL, bootLinux, exitOf, onLinux } from '../helpers/linux.ts';

const KIB = 1024;

/** What the guest prints to be compared byte by byte. */
const PRINTED = ALL ? 1024 * KIB : 128 * KIB;

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('hex');
}

/** All exits so far, of all vCPUs. Writes that KVM posted are none. */
function exitsOf(machine: Machine): number {
  return machine.vm.vcpus.reduce((sum, { stats }) => sum + stats.exits, 0);
}

onLinux(
  test,
  'a long print arrives whole and in order, for fewer exits than half a byte each',
  'own',
  async (t) => {
    // A second port whose writes are not posted, to compare with: COM2 as a device of the caller's.
    const event = new EventFd();
    t.teardown(() => event.close());
    let plain = Buffer.alloc(0);
    const serial = new Serial({
      interrupt: event,
      onOutput: (bytes) => (plain = Buffer.concat([plain, bytes])),
    });
    const { machine, console } = await bootLinux(t, {
      prepare: ({ vm }) => vm.registerIrqfd(event, 5),
      config: {
        devices: [
          {
            device: serial,
            io: { base: 0x2f8, length: 8 },
            interrupt: 5,
            acpi: { name: 'UNPO', hid: 'PNP0501', uid: 7 },
          },
        ],
      },
    });
    const sum = (
      await console.command(`head -c ${PRINTED} /dev/urandom >/tmp/random; md5sum /tmp/random`)
    ).slice(0, 32);

    const before = exitsOf(machine);
    console.type('stty -opost; echo begin; cat /tmp/random; stty opost');
    await console.expect('begin\n');
    const printed = await console.take(PRINTED);
    const posted = (exitsOf(machine) - before) / PRINTED;
    t.is(md5(printed), sum);

    const count = 8 * KIB;
    const beforePlain = exitsOf(machine);
    await console.command(`stty -F /dev/ttyS1 raw -echo; head -c ${count} /tmp/random >/dev/ttyS1`);
    const unposted = (exitsOf(machine) - beforePlain) / count;
    while (plain.length < count) await sleep(20);
    t.deepEqual(plain, printed.subarray(0, count));
    t.log(`${posted.toFixed(3)} exits a byte, ${unposted.toFixed(3)} where writes are not posted`);
    t.true(posted < 0.5);
    t.true(unposted > 1);
  },
);

onLinux(
  test,
  'what is pasted arrives whole where a program reads, and harms nobody where none does',
  'own',
  async (t) => {
    const linux = await bootLinux(t, { cpus: 2 });
    const { machine, console } = linux;
    const bytes = Buffer.from(Array.from({ length: 100 * KIB }, (_, at) => (at * 7919 + (at >> 8)) & 0xff));
    console.type(`stty raw; echo ready; head -c ${bytes.length} | md5sum; stty -raw opost`);
    await console.expect('ready');
    await console.paste(bytes);
    const [, sum] = await console.expect(/([0-9a-f]{32}) {2}-/);
    t.is(sum, md5(bytes));

    // Linux takes what it has room for and drops the rest; the machine and its other programs go on.
    console.type('(while sleep 0.2; do echo tick; done &); exec sleep 100000');
    await console.expect('tick');
    await console.paste(Buffer.alloc(100 * KIB, '# nobody reads this\n'));
    console.skip();
    await console.expect('tick');
    await machine.stop();
    t.is((await exitOf(linux)).reason, 'killed');
  },
);

onLinux(test, 'a second serial port and the debug console beside the first', 'own', async (t) => {
  const { machine, console } = await bootLinux(t, { config: { console2: true, debugConsole: true } });
  const second = new ConsoleReader(machine, machine.console2);
  const debug = new ConsoleReader(machine, machine.debugConsole);
  await console.command('(setsid sh -i </dev/ttyS1 >/dev/ttyS1 2>&1 &)');
  await second.expect('# ');
  await second.makeQuiet();
  t.is(await second.command('tty; echo $((6 * 7))'), '/dev/ttyS1\n42');
  await second.command('echo over there >/dev/ttyS0');
  await console.expect('over there');
  // Port 0xe9, by the file in which ports are bytes.
  await console.command('printf "debugged\\n" | dd of=/dev/port bs=1 seek=233 count=1 2>/dev/null');
  await console.command('for c in e b u g; do printf $c | dd of=/dev/port bs=1 seek=233 2>/dev/null; done');
  await debug.expect('debug');
  t.is(debug.text, 'debug');
});

onLinux(
  test,
  'a guest that floods a console that nobody reads waits, and nothing grows',
  'own',
  async (t) => {
    const linux = await bootLinux(t, { config: { console2: true } });
    const { machine, console } = linux;
    // Nobody has ever read this one: the guest never waits.
    await console.command('stty -F /dev/ttyS1 raw -echo; head -c 200000 /dev/zero >/dev/ttyS1');
    // This one was read, and is no longer: the guest waits.
    console.type('yes "0123456789012345678901234567890123456789"');
    await console.expect('0123456789\r\n');
    machine.console.pause();
    await sleep(1000);
    const { rss } = process.memoryUsage();
    await sleep(3000);
    const grown = process.memoryUsage().rss - rss;
    t.true(grown < 2 ** 23, `grown by ${grown} bytes`);
    t.true(machine.console.readableLength <= 2 * machine.console.readableHighWaterMark);
    t.true(machine.console2!.readableLength === 0);
    machine.console.resume();
    console.skip();
    await console.expect('0123456789\r\n');
    machine.console.pause();
    await machine.stop();
    t.is((await exitOf(linux)).reason, 'killed');
  },
);
