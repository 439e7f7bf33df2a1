/** Files behind guest memory that shrink under it, and faults that are nobody's of ours. */
import {
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Kvm, KvmError, type Vcpu, type Vm } from '../../../index.ts';
import { main, startAt0x1000 } from './machine.ts';

const SIZE = 0x4000;

interface Shrinking {
  vm: Vm;
  vcpu: Vcpu;
  /** Takes all of the file away. */
  shrink(): void;
}

/** A machine with a file at 0x10000, and a guest that counts its first byte up and tells it to port 0x10. */
function withFile(shared: boolean): Shrinking {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-backing-'));
  process.on('exit', () => rmSync(folder, { recursive: true }));
  const path = join(folder, 'file');
  writeFileSync(path, Buffer.alloc(SIZE, 0x41));
  const vm = new Kvm().createVm();
  vm.memory.map({ guestAddress: 0x1000, size: 0x1000 });
  vm.memory.map({ guestAddress: 0x1_0000, size: SIZE, backing: { path }, shared });
  // prettier-ignore
  vm.memory.write(0x1000, Uint8Array.of(
    0xb8, 0x00, 0x10, 0x8e, 0xd8, // mov ax, 0x1000; mov ds, ax
    0xfe, 0x06, 0x00, 0x00, //       again: inc byte ptr [0]
    0xa0, 0x00, 0x00, //             mov al, [0]
    0xe6, 0x10, //                   out 0x10, al
    0xeb, 0xf5, //                   jmp again
  ));
  const vcpu = vm.createVcpu();
  startAt0x1000(vcpu);
  return { vm, vcpu, shrink: () => truncateSync(path, 0) };
}

function said(error: unknown): string {
  return error instanceof KvmError ? error.code : String(error);
}

await main({
  'the host reads'() {
    for (const shared of [false, true]) {
      const { vm, shrink } = withFile(shared);
      console.log('before', vm.memory.readUint8(0x1_0000));
      const view = vm.memory.view(0x1_0000, SIZE);
      shrink();
      console.log('after', vm.memory.readUint8(0x1_0000), vm.memory.read(0x1_1000, 1)[0], view[0x2000]);
      vm.memory.write(0x1_3000, Uint8Array.of(7));
      console.log('written', vm.memory.readUint8(0x1_3000));
    }
  },
  'the guest runs'() {
    for (const shared of [false, true]) {
      const { vcpu, shrink } = withFile(shared);
      let outs = 0;
      try {
        const end = vcpu.run({ ioOut: () => void (++outs === 100 && shrink()) }, { timeoutMs: 20_000 });
        console.log(end.reason === 'exit' ? `exit ${JSON.stringify(end.exit)}` : end.reason);
      } catch (error) {
        console.log(said(error));
      }
      console.log('the guest had run', outs >= 100);
    }
  },
  async 'the guest runs in the background'() {
    const { vcpu, shrink } = withFile(true);
    let outs = 0;
    const run = vcpu.runInBackground(
      { ioOut: () => void (++outs === 100 && shrink()) },
      { timeoutMs: 20_000 },
    );
    await run.then(
      (end) => console.log(end.reason),
      (error: unknown) => console.log(said(error)),
    );
    console.log('the process lives');
  },
  'a memfd cannot shrink'() {
    const vm = new Kvm().createVm();
    vm.memory.map({ guestAddress: 0x1000, size: SIZE, backing: 'memfd', shared: true });
    const fd = readdirSync('/proc/self/fd').find((name) => {
      try {
        return readlinkSync(`/proc/self/fd/${name}`).includes('memfd:vmhatch');
      } catch {
        return false;
      }
    });
    for (const length of [0, SIZE * 2]) {
      try {
        ftruncateSync(openSync(`/proc/self/fd/${fd}`, 'r+'), length);
        console.log('it could');
      } catch (error) {
        console.log((error as NodeJS.ErrnoException).code);
      }
    }
  },
  'a bus error of somebody else'() {
    withFile(true);
    // The preloaded helper faults in a file of its own.
    process.kill(process.pid, 'SIGUSR2');
    setTimeout(() => console.log('it lives'), 2000);
  },
  'a bus error signal from outside'() {
    withFile(true);
    process.kill(process.pid, 'SIGBUS');
    setTimeout(() => console.log('it lives'), 2000);
  },
});
