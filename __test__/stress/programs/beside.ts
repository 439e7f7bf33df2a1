/** What else a process does while its guests run: children, signals, output. */
import { exec, execFileSync, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

import { Serial } from '../../../index.ts';
import { machine, main, sleep, waitFor } from './machine.ts';

/** A guest on the background lane that counts what it does. */
function counting(): { exits: () => number; stop: () => Promise<string> } {
  const { vcpu } = machine('pio-out-loop');
  let exits = 0;
  const run = vcpu.runInBackground({ ioOut: () => void exits++ });
  return {
    exits: () => exits,
    async stop() {
      vcpu.kickHandle.kick();
      return (await run).reason;
    },
  };
}

/** The bytes that a guest sends when it counts from 0 upwards, 16 bits a number: mov dx,3f8; xor bx,bx; … */
// prettier-ignore
const counter = Uint8Array.of(
  0xba, 0xf8, 0x03, // mov dx, 0x3f8
  0x31, 0xdb, //       xor bx, bx
  0x88, 0xd8, //       again: mov al, bl
  0xee, //             out dx, al
  0x88, 0xf8, //       mov al, bh
  0xee, //             out dx, al
  0x43, //             inc bx
  0xeb, 0xf7, //       jmp again
);

/** Checks a stream of 16-bit numbers as it arrives. */
class Checker {
  count = 0;
  #low: number | undefined;

  take(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#low === undefined) {
        this.#low = byte;
        continue;
      }
      const value = this.#low | (byte << 8);
      if (value !== (this.count & 0xffff)) throw new Error(`${value} came, ${this.count & 0xffff} was next`);
      this.#low = undefined;
      this.count++;
    }
  }
}

await main({
  async 'child processes'() {
    const guest = counting();
    const spinning = machine('spin').vcpu;
    const spin = spinning.runInBackground();
    await waitFor('exits', () => guest.exits() > 100);
    const before = guest.exits();
    const outputs = [
      (await promisify(exec)('printf exec; ulimit -c >/dev/null')).stdout,
      execFileSync('printf', ['sync']).toString(),
    ];
    const cat = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] });
    cat.stdin.end('spawn');
    outputs.push(String(Buffer.concat(await cat.stdout.toArray())));
    // The child sees no descriptor of ours, no timer's signal, and no signal of ours is blocked or handled in it.
    const list = spawn('sh', ['-c', 'readlink /proc/$$/fd/*; grep -E "Sig(Blk|Cgt)" /proc/self/status']);
    const seen = String(Buffer.concat(await list.stdout.toArray()));
    outputs.push(/kvm|eventfd:vmhatch|vmhatch-guest/.test(seen) ? `the child has ${seen}` : 'clean');
    outputs.push(/SigBlk:\s*0+$/m.test(seen) ? 'unblocked' : seen);
    const child = fork(new URL('./forked.ts', import.meta.url), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [message] = (await once(child, 'message')) as [string];
    outputs.push(message);
    for (let round = 0; round < 20; round++) await promisify(exec)('true');
    console.log(outputs.join(' '));
    console.log('the guest went on', guest.exits() > before);
    console.log(await guest.stop());
    spinning.kickHandle.kick();
    console.log((await spin).reason);
  },
  'a child from a handler'() {
    const { vcpu } = machine('add-numbers');
    vcpu.setRegs({ rax: 2, rbx: 2 });
    const said: string[] = [];
    vcpu.run({ ioOut: (exit) => void said.push(execFileSync('printf', [String(exit.value)]).toString()) });
    console.log(said.join(' '));
  },
  async SIGUSR1() {
    const guest = counting();
    const sliced = machine('spin').vcpu;
    const run = sliced.runSliced();
    console.log('ready');
    // The parent sends the signal now; the inspector says so on stderr.
    await sleep(1000);
    console.log(await guest.stop());
    sliced.kickHandle.kick();
    console.log((await run).reason);
    process.exit();
  },
  async 'SIGINT in a sliced run'() {
    const abort = new AbortController();
    process.once('SIGINT', () => abort.abort(new Error('interrupted')));
    console.log('ready');
    await machine('spin')
      .vcpu.runSliced({}, { signal: abort.signal })
      .catch((error: unknown) => console.log((error as Error).message));
  },
  async 'SIGINT beside a background run'() {
    const abort = new AbortController();
    process.once('SIGINT', () => abort.abort(new Error('interrupted')));
    console.log('ready');
    await machine('spin')
      .vcpu.runInBackground({}, { signal: abort.signal })
      .catch((error: unknown) => console.log((error as Error).message));
  },
  async 'a flood, in order'() {
    for (const lane of ['run', 'runSliced', 'runInBackground'] as const) {
      const { vm, vcpu } = machine(counter);
      const checker = new Checker();
      let largest = 0;
      const serial = new Serial({
        onOutput(bytes) {
          largest = Math.max(largest, bytes.length);
          checker.take(bytes);
          if (checker.count >= 40_000) vcpu.kickHandle.kick();
        },
      });
      vm.io.attach({ base: 0x3f8, length: 8 }, serial);
      const end = await vcpu[lane]();
      serial.close();
      console.log(lane, end.reason, checker.count >= 40_000, largest <= 2 ** 17 ? 'bounded' : largest);
      vm.close();
    }
  },
  async 'a flood that nobody takes'() {
    const { vm, vcpu } = machine(counter);
    const serial = new Serial();
    vm.io.attach({ base: 0x3f8, length: 8 }, serial);
    while (vcpu.stats.byRoute.rust < 100_000) vcpu.run({}, { timeoutMs: 100 });
    const kept = serial.takeOutput();
    const written = vcpu.stats.byRoute.rust;
    console.log('more was written than is kept', written > kept.length, 'kept', kept.length);
    // What is kept is the end of it: the last numbers, without a gap.
    const whole = kept.subarray(written % 2, kept.length - (written % 2));
    const numbers = new Uint16Array(whole.slice().buffer);
    const gaps = numbers.findIndex(
      (value, index) => index > 0 && value !== ((numbers[index - 1]! + 1) & 0xffff),
    );
    console.log('gaps', gaps);
  },
  async 'a flood after the listener has gone'() {
    for (const lane of ['run', 'runInBackground'] as const) {
      const { vm, vcpu } = machine(counter);
      const serial = new Serial({ onOutput: () => undefined });
      vm.io.attach({ base: 0x3f8, length: 8 }, serial);
      serial.close();
      // Nobody listens: the guest must not wait for somebody who does, and what is kept is bounded.
      while (vcpu.stats.byRoute.rust < 100_000) await vcpu[lane]({}, { timeoutMs: 100 });
      console.log(lane, serial.takeOutput().length);
      vm.close();
    }
  },
  async 'a flood that is taken slowly'() {
    // The event loop is away for a second: the guest has to wait for it, nothing is lost.
    const { vm, vcpu } = machine(counter);
    const checker = new Checker();
    const serial = new Serial({ onOutput: (bytes) => checker.take(bytes) });
    vm.io.attach({ base: 0x3f8, length: 8 }, serial);
    const run = vcpu.runInBackground();
    const until = performance.now() + 3000;
    while (performance.now() < until);
    const written = vcpu.stats.byRoute.rust;
    console.log('the guest waits', written <= 2 ** 16 + 16 ? 'at the limit' : written);
    await waitFor('the rest', () => checker.count > 2 ** 16);
    vcpu.kickHandle.kick();
    console.log((await run).reason);
    serial.close();
  },
});
