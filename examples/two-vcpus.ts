// Two vCPUs at once, each on a thread of its own: they wait for each other in memory that they share.
import { Kvm } from 'vmhatch';

// prettier-ignore
const code = Uint8Array.of(
  0xf0, 0xff, 0x06, 0x00, 0x20, //       lock inc word ptr [0x2000]
  0x88, 0xd8,                   //       mov al, bl
  0xba, 0xf8, 0x03,             //       mov dx, 0x3f8
  0xee,                         //       out dx, al
  0xf3, 0x90,                   // wait: pause
  0x83, 0x3e, 0x00, 0x20, 0x02, //       cmp word ptr [0x2000], 2
  0x72, 0xf7,                   //       jb wait
  0xf4,                         //       hlt
);

const kvm = new Kvm();
const vm = kvm.createVm();
vm.memory.map({ guestAddress: 0x1000, size: 0x2000 });
vm.memory.write(0x1000, code);

const names = ['A', 'B'];
const greetings: string[] = [];
const runs = names.map((name) => {
  const vcpu = vm.createVcpu();
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: 0x1000, rbx: name.charCodeAt(0), rflags: 2 });
  return vcpu.runInBackground(
    {
      ioOut: ({ value }, { id }) => void greetings.push(`vCPU ${id} says ${String.fromCharCode(value)}`),
    },
    { timeoutMs: 10_000 },
  );
});

// Neither halts before the other has counted itself: this ends because both run at the same time.
const ends = await Promise.all(runs);
// Who speaks first is anybody's guess.
for (const line of greetings.toSorted()) console.log(line);
for (const [id, end] of ends.entries())
  console.log(`vCPU ${id} ended: ${end.reason === 'exit' ? end.exit.kind : end.reason}`);
console.log(`the counter is ${vm.memory.readUint16(0x2000)}`);
vm.close();
kvm.close();
